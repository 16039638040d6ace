//! One field of a form (XEP-0004 §3.2, §3.3).

use crate::{Element, ns};

/// A question, an answer, or a datum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Field {
    /// The name; empty only for text between the fields.
    pub var: String,
    /// The type, where it is said. Answers seldom say it.
    pub ty: Option<FieldType>,
    /// A name for people.
    pub label: Option<String>,
    /// An explanation for people.
    pub desc: Option<String>,
    /// Whether a form is incomplete without it.
    pub required: bool,
    /// The default, the answer, or the datum.
    pub values: Vec<String>,
    /// What the values of a list are chosen from.
    pub options: Vec<Choice>,
    /// The least and the most of a whole number (XEP-0122 §3.2.3): shown, and not read back.
    pub range: Option<(u32, u32)>,
}

/// An option of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// A name for people.
    pub label: Option<String>,
    /// The value that is submitted.
    pub value: String,
}

/// The types of a field (XEP-0004 §3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of XEP-0004 table 2")]
pub enum FieldType {
    Boolean,
    Fixed,
    Hidden,
    JidMulti,
    JidSingle,
    ListMulti,
    ListSingle,
    TextMulti,
    TextPrivate,
    TextSingle,
}

impl Field {
    /// A field without a value.
    #[must_use]
    pub fn new(ty: FieldType, var: impl Into<String>) -> Self {
        Self { var: var.into(), ty: Some(ty), ..Self::default() }
    }

    /// A choice between yes and no.
    #[must_use]
    pub fn boolean(var: impl Into<String>, value: bool) -> Self {
        Self::new(FieldType::Boolean, var).with_value(if value { "1" } else { "0" })
    }

    /// Several lines of text, a value each (XEP-0004 §3.3, third note).
    #[must_use]
    pub fn text_multi(var: impl Into<String>, text: &str) -> Self {
        Self::new(FieldType::TextMulti, var).with_values(text.lines())
    }

    /// Text between the fields, a heading.
    #[must_use]
    pub fn fixed(text: impl Into<String>) -> Self {
        Self::new(FieldType::Fixed, "").with_value(text)
    }

    /// With a name for people.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// With an explanation for people.
    #[must_use]
    pub fn with_desc(mut self, desc: impl Into<String>) -> Self {
        self.desc = Some(desc.into());
        self
    }

    /// With the mark that the form is incomplete without it.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// With a value appended.
    #[must_use]
    pub fn with_value(mut self, value: impl Into<String>) -> Self {
        self.values.push(value.into());
        self
    }

    /// With values appended.
    #[must_use]
    pub fn with_values(mut self, values: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.values.extend(values.into_iter().map(Into::into));
        self
    }

    /// With an option appended.
    #[must_use]
    pub fn with_option(mut self, label: impl Into<String>, value: impl Into<String>) -> Self {
        self.options.push(Choice { label: Some(label.into()), value: value.into() });
        self
    }

    /// With the least and the most of a whole number.
    #[must_use]
    pub fn with_range(mut self, least: u32, most: u32) -> Self {
        self.range = Some((least, most));
        self
    }

    /// Whether nothing is in it, which forms write in several ways (XEP-0004 §3.6).
    #[must_use]
    pub fn is_blank(&self) -> bool {
        self.values.iter().all(String::is_empty)
    }

    /// Reads a `<field/>`; none without a name.
    pub(super) fn parse(field: &Element) -> Option<Self> {
        let var = field.attr("var").filter(|var| !var.is_empty())?;
        let named = |name: &'static str| {
            let children = field.children();
            children.filter(move |child| child.is(name, ns::DATA_FORMS))
        };
        Some(Self {
            var: var.to_owned(),
            ty: field.attr("type").map(FieldType::parse),
            label: field.attr("label").map(str::to_owned),
            desc: named("desc").next().map(Element::text),
            required: named("required").next().is_some(),
            values: named("value").map(Element::text).collect(),
            options: named("option").filter_map(Choice::parse).collect(),
            range: None,
        })
    }

    /// The `<field/>`.
    pub(super) fn to_element(&self) -> Element {
        let word = |name: &'static str| Element::new(name, ns::DATA_FORMS);
        let var = Some(self.var.as_str()).filter(|var| !var.is_empty());
        let mut field = word("field")
            .with_attr_opt("var", var)
            .with_attr_opt("type", self.ty.map(FieldType::as_str))
            .with_attr_opt("label", self.label.as_deref());
        if let Some(desc) = &self.desc {
            field.push(word("desc").with_text(desc));
        }
        if self.required {
            field.push(word("required"));
        }
        if let Some((least, most)) = self.range {
            let word = |name: &'static str| Element::new(name, ns::VALIDATE);
            let range = word("range")
                .with_attr("min", least.to_string())
                .with_attr("max", most.to_string());
            field.push(word("validate").with_attr("datatype", "xs:integer").with_child(range));
        }
        for value in &self.values {
            field.push(word("value").with_text(value));
        }
        for option in &self.options {
            let value = word("value").with_text(&option.value);
            field.push(
                word("option").with_attr_opt("label", option.label.as_deref()).with_child(value),
            );
        }
        field
    }
}

impl Choice {
    fn parse(option: &Element) -> Option<Self> {
        Some(Self {
            label: option.attr("label").map(str::to_owned),
            value: option.child("value", ns::DATA_FORMS)?.text(),
        })
    }
}

impl FieldType {
    /// An unknown type counts as `text-single` (XEP-0004 §3.3).
    fn parse(text: &str) -> Self {
        match text {
            "boolean" => Self::Boolean,
            "fixed" => Self::Fixed,
            "hidden" => Self::Hidden,
            "jid-multi" => Self::JidMulti,
            "jid-single" => Self::JidSingle,
            "list-multi" => Self::ListMulti,
            "list-single" => Self::ListSingle,
            "text-multi" => Self::TextMulti,
            "text-private" => Self::TextPrivate,
            _ => Self::TextSingle,
        }
    }

    /// The value of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Fixed => "fixed",
            Self::Hidden => "hidden",
            Self::JidMulti => "jid-multi",
            Self::JidSingle => "jid-single",
            Self::ListMulti => "list-multi",
            Self::ListSingle => "list-single",
            Self::TextMulti => "text-multi",
            Self::TextPrivate => "text-private",
            Self::TextSingle => "text-single",
        }
    }

    /// Whether more than one value may stand in the field (XEP-0004 §3.2).
    #[must_use]
    pub fn is_multi(self) -> bool {
        matches!(self, Self::JidMulti | Self::ListMulti | Self::TextMulti | Self::Hidden)
    }
}
