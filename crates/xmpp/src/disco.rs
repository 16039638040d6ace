//! Owns an answer to disco#info (XEP-0030 §3.1), and what capability hashes are made from: the input of the hash
//! function of XEP-0115 §5.1 and of XEP-0390 §4.1. The hash functions themselves are elsewhere.

use std::collections::HashSet;

use crate::forms::{Form, FormKind};
use crate::{Element, ns};

/// An answer to disco#info.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Info {
    /// What the entity is.
    pub identities: Vec<Identity>,
    /// What it can do.
    pub features: Vec<String>,
    /// More about it (XEP-0128).
    pub forms: Vec<Form>,
    /// Something else was in the answer, which XEP-0390 §4.1 does not allow.
    pub foreign: bool,
}

/// What an entity is (XEP-0030 §3.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of the attributes")]
pub struct Identity {
    pub category: String,
    pub ty: String,
    pub lang: String,
    pub name: String,
}

impl Info {
    /// With one identity; each feature counts once.
    #[must_use]
    pub fn new(
        (category, ty): (&str, &str),
        name: &str,
        features: &[&str],
        forms: Vec<Form>,
    ) -> Self {
        let mut features: Vec<String> = features.iter().map(|it| (*it).to_owned()).collect();
        features.sort_unstable();
        features.dedup();
        let identity = Identity {
            category: category.to_owned(),
            ty: ty.to_owned(),
            lang: String::new(),
            name: name.to_owned(),
        };
        Self { identities: vec![identity], features, forms, foreign: false }
    }

    /// With what another one says too; what both say is there once.
    pub fn add(&mut self, more: Self) {
        let key = |it: &Identity| (it.category.clone(), it.ty.clone(), it.lang.clone());
        for identity in more.identities {
            if !self.identities.iter().any(|it| key(it) == key(&identity)) {
                self.identities.push(identity);
            }
        }
        for feature in more.features {
            if !self.features.contains(&feature) {
                self.features.push(feature);
            }
        }
        for form in more.forms {
            if !self.forms.iter().any(|it| it.form_type() == form.form_type()) {
                self.forms.push(form);
            }
        }
    }

    /// Reads a `<query/>`.
    #[must_use]
    pub fn read(query: &Element) -> Self {
        let mut info = Self::default();
        for child in query.children() {
            let text = |name| child.attr(name).unwrap_or_default().to_owned();
            match (child.name(), child.ns()) {
                ("feature", ns::DISCO_INFO) => info.features.push(text("var")),
                ("identity", ns::DISCO_INFO) => info.identities.push(Identity {
                    category: text("category"),
                    ty: text("type"),
                    lang: child.lang().or_else(|| query.lang()).unwrap_or_default().to_owned(),
                    name: text("name"),
                }),
                ("x", ns::DATA_FORMS) => match Form::parse(child) {
                    Ok(form) => info.forms.push(form),
                    Err(_) => info.foreign = true,
                },
                _ => info.foreign = true,
            }
            let table =
                ["reported", "item"].iter().any(|it| child.child(it, ns::DATA_FORMS).is_some());
            info.foreign |= table;
        }
        info
    }

    /// The `<query/>`.
    #[must_use]
    pub fn to_element(&self, node: Option<&str>) -> Element {
        let identity = |identity: &Identity| {
            Element::new("identity", ns::DISCO_INFO)
                .with_attr("category", &identity.category)
                .with_attr("type", &identity.ty)
                .with_attr_opt("name", Some(&*identity.name).filter(|name| !name.is_empty()))
        };
        let feature =
            |var: &String| Element::new("feature", ns::DISCO_INFO).with_attr("var", var.as_str());
        Element::new("query", ns::DISCO_INFO)
            .with_attr_opt("node", node)
            .with_children(self.identities.iter().map(identity))
            .with_children(self.features.iter().map(feature))
            .with_children(self.forms.iter().map(Form::to_element))
    }

    /// The input of XEP-0115 §5.1; none where the answer is ill-formed (§5.4 rule 3). All sorting is by octets.
    #[must_use]
    pub fn caps(&self) -> Option<String> {
        let mut identities = self.identities.clone();
        identities.sort_unstable();
        let mut features: Vec<&str> = self.features.iter().map(String::as_str).collect();
        features.sort_unstable();
        // A form without a hidden FORM_TYPE does not count.
        let typed = self.forms.iter().filter(|form| form.form_type().is_some());
        let mut forms: Vec<&Form> = typed.collect();
        forms.sort_unstable_by_key(|form| form.form_type());
        let same = |a: &Identity, b: &Identity| {
            (&a.category, &a.ty, &a.lang) == (&b.category, &b.ty, &b.lang)
        };
        let twice = identities.windows(2).any(|two| same(&two[0], &two[1]))
            || features.windows(2).any(|two| two[0] == two[1])
            || forms.windows(2).any(|two| two[0].form_type() == two[1].form_type())
            || forms.iter().any(|form| form.values("FORM_TYPE").is_none_or(|it| it.len() != 1));
        if twice {
            return None;
        }
        let mut text = String::new();
        for identity in &identities {
            let parts = [&identity.category, &identity.ty, &identity.lang, &identity.name];
            text += &parts.map(String::as_str).join("/");
            text.push('<');
        }
        for feature in features {
            text += feature;
            text.push('<');
        }
        for form in forms {
            push_form(&mut text, form);
        }
        Some(text)
    }

    /// The input of XEP-0390 §4.1; none where the algorithm ends with an error.
    #[must_use]
    pub fn caps2(&self) -> Option<Vec<u8>> {
        let untyped = |form: &Form| form.kind != FormKind::Result || form.form_type().is_none();
        let mut seen = HashSet::new();
        if self.foreign || self.forms.iter().any(untyped) {
            return None;
        }
        if !self.features.iter().all(|feature| seen.insert(feature)) {
            return None;
        }
        let features = self.features.iter().map(|it| unit(it));
        let identities = self.identities.iter().map(|it| {
            let parts = [&it.category, &it.ty, &it.lang, &it.name];
            closed(parts.map(|part| unit(part)).concat(), RECORD)
        });
        let forms = self.forms.iter().map(|form| {
            let fields = form.fields.iter().map(|field| {
                let values = sorted(field.values.iter().map(|value| unit(value)));
                closed([unit(&field.var), values].concat(), RECORD)
            });
            closed(sorted(fields), GROUP)
        });
        let parts = [sorted(features), sorted(identities), sorted(forms)];
        Some(parts.map(|part| closed(part, FILE)).concat())
    }
}

const FILE: u8 = 0x1c;
const GROUP: u8 = 0x1d;
const RECORD: u8 = 0x1e;
const UNIT: u8 = 0x1f;

fn unit(text: &str) -> Vec<u8> {
    closed(text.as_bytes().to_vec(), UNIT)
}

fn closed(mut octets: Vec<u8>, by: u8) -> Vec<u8> {
    octets.push(by);
    octets
}

fn sorted(parts: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = parts.collect();
    parts.sort_unstable();
    parts.concat()
}

fn push_form(text: &mut String, form: &Form) {
    let mut words = vec![form.form_type().unwrap_or_default()];
    let mut fields: Vec<_> = form.fields.iter().filter(|field| field.var != "FORM_TYPE").collect();
    fields.sort_unstable_by_key(|field| &field.var);
    for field in fields {
        let mut values: Vec<&str> = field.values.iter().map(String::as_str).collect();
        values.sort_unstable();
        words.push(&field.var);
        words.append(&mut values);
    }
    for word in words {
        *text += word;
        text.push('<');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(inner: &str) -> Info {
        let xml = format!("<query xmlns='{}'>{inner}</query>", ns::DISCO_INFO);
        Info::read(&Element::parse(xml.as_bytes()).unwrap())
    }

    const PSI: &str = "<identity category='client' type='pc' xml:lang='el' name='Ψ 0.11'/>\
        <identity category='client' type='pc' xml:lang='en' name='Psi 0.11'/>\
        <feature var='urn:b'/><feature var='urn:a'/>\
        <x xmlns='jabber:x:data' type='result'>\
        <field var='FORM_TYPE' type='hidden'><value>urn:form</value></field>\
        <field var='os'><value>Mac</value></field>\
        <field var='ip'><value>v6</value><value>v4</value></field></x>";

    #[test]
    fn the_input_of_both_hashes_is_sorted_by_octets() {
        let info = info(PSI);
        let caps =
            "client/pc/el/Ψ 0.11<client/pc/en/Psi 0.11<urn:a<urn:b<urn:form<ip<v4<v6<os<Mac<";
        assert_eq!(info.caps().as_deref(), Some(caps));
        let caps2 = "urn:a\u{1f}urn:b\u{1f}\u{1c}client\u{1f}pc\u{1f}el\u{1f}Ψ 0.11\u{1f}\u{1e}\
            client\u{1f}pc\u{1f}en\u{1f}Psi 0.11\u{1f}\u{1e}\u{1c}\
            FORM_TYPE\u{1f}urn:form\u{1f}\u{1e}ip\u{1f}v4\u{1f}v6\u{1f}\u{1e}os\u{1f}Mac\u{1f}\u{1e}\
            \u{1d}\u{1c}";
        assert_eq!(info.caps2().map(|it| String::from_utf8(it).unwrap()).as_deref(), Some(caps2));
        assert_eq!(Info::read(&info.to_element(None)).features, info.features);
    }

    // XEP-0115 §5.4 rule 3; XEP-0390 §4.1 rules 1 to 3
    #[test]
    fn an_answer_that_could_be_read_in_two_ways_has_no_hash() {
        let form = |inner: &str| format!("<x xmlns='jabber:x:data' type='result'>{inner}</x>");
        let typed = "<field var='FORM_TYPE' type='hidden'><value>a</value></field>";
        let rows = [
            ("<feature var='a'/><feature var='a'/>".to_owned(), false, false),
            (
                "<identity category='a' type='b'/><identity category='a' type='b' name='c'/>"
                    .to_owned(),
                false,
                true,
            ),
            (form(typed) + &form(typed), false, true),
            (form(""), true, false),
            (form(&format!("{typed}<reported/>")), true, false),
            ("<other/>".to_owned(), true, false),
        ];
        for (inner, caps, caps2) in rows {
            let info = info(&inner);
            assert_eq!((info.caps().is_some(), info.caps2().is_some()), (caps, caps2), "{inner}");
        }
    }
}
