//! Owns an opening tag while it is being read: its attributes, and what they resolve to once all
//! declarations of namespaces are known.

use rxml::{NcName, RawQName};
use xmpp::{StreamCondition, StreamError};

use super::fault::{fault, too_much};
use super::head::Attributes;
use super::name;
use super::scope::{NameId, Scope};
use crate::Limits;

/// An attribute that declares no namespace.
pub(super) struct Attribute {
    prefix: Option<NcName>,
    pub(super) name: NcName,
    pub(super) value: String,
    /// The namespace of the prefix; none for most attributes. Known after [`Tag::resolve`].
    pub(super) ns: NameId,
}

/// An opening tag.
pub(super) struct Tag {
    prefix: Option<NcName>,
    pub(super) name: NcName,
    /// Known after [`Tag::resolve`].
    pub(super) ns: NameId,
    pub(super) attributes: Vec<Attribute>,
}

impl Tag {
    /// A tag of which the name is read. `room` is what an earlier tag left for attributes.
    pub(super) fn new(
        (prefix, name): RawQName,
        room: Vec<Attribute>,
        limits: &Limits,
    ) -> Result<Self, StreamError> {
        check_name(prefix.as_ref(), &name, limits)?;
        Ok(Self { prefix, name, ns: NameId::NONE, attributes: room })
    }

    /// Takes one attribute; declarations go to the scope.
    pub(super) fn attribute(
        &mut self,
        (prefix, name): RawQName,
        value: String,
        scope: &mut Scope,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        check_name(prefix.as_ref(), &name, limits)?;
        match prefix.as_deref() {
            None if name.as_str() == "xmlns" => return scope.declare_default(value, limits),
            Some(prefix) if prefix.as_str() == "xmlns" => {
                return scope.declare(name, value, limits);
            }
            _ => {}
        }
        if value.len() > xmpp::element::MAX_ATTRIBUTE_BYTES {
            return Err(too_much("attribute too long"));
        }
        if self.attributes.len() >= limits.attributes {
            return Err(too_much("too many attributes"));
        }
        self.attributes.push(Attribute { prefix, name, value, ns: NameId::NONE });
        Ok(())
    }

    /// Resolves all prefixes, and refuses attributes that are the same before or after that.
    pub(super) fn resolve(&mut self, scope: &Scope) -> Result<(), StreamError> {
        self.ns = match &self.prefix {
            Some(prefix) => scope.resolve(prefix.as_str())?,
            None => scope.default_ns(),
        };
        for at in 0..self.attributes.len() {
            let (before, rest) = self.attributes.split_at_mut(at);
            let Some(attribute) = rest.first_mut() else {
                break;
            };
            if let Some(prefix) = &attribute.prefix {
                attribute.ns = scope.resolve(prefix.as_str())?;
            }
            let twice = |other: &Attribute| {
                other.name == attribute.name && scope.same(other.ns, attribute.ns)
            };
            if before.iter().any(twice) {
                return Err(fault(StreamCondition::NotWellFormed, "duplicate attribute"));
            }
        }
        Ok(())
    }

    /// The value of an attribute without namespace.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        self.value_ns(name, NameId::NONE)
    }

    /// The value of `xml:lang`.
    pub(super) fn lang(&self) -> Option<&str> {
        self.value_ns("lang", NameId::XML)
    }

    fn value_ns(&self, name: &str, ns: NameId) -> Option<&str> {
        let named = |a: &&Attribute| a.ns == ns && a.name.as_str() == name;
        self.attributes.iter().find(named).map(|attribute| attribute.value.as_str())
    }

    /// What it says as the tag of a stanza.
    pub(super) fn attributes(&self) -> Attributes<'_> {
        Attributes {
            name: self.name.as_str(),
            to: self.value("to"),
            from: self.value("from"),
            id: self.value("id"),
            ty: self.value("type"),
            lang: self.lang(),
        }
    }
}

fn check_name(prefix: Option<&NcName>, local: &NcName, limits: &Limits) -> Result<(), StreamError> {
    name::check(local, limits)?;
    prefix.map_or(Ok(()), |prefix| name::check(prefix, limits))
}
