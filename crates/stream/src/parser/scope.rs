//! Owns the namespaces in scope: which name each prefix and the default stand for, element by element
//! (Namespaces in XML 1.0). Names are indices into one stack, found by linear search from the newest.

use rxml::NcName;
use xmpp::{StreamCondition, StreamError, ns};

use super::fault::{fault, too_much};
use super::name;
use crate::Limits;

/// A namespace name in scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NameId(u16);

impl NameId {
    pub(super) const NONE: Self = Self(0);
    pub(super) const XML: Self = Self(1);
    /// Ids below this one are fixed.
    const FIRST: u16 = 2;
}

/// What was in scope before an element opened.
struct Mark {
    names: u16,
    bindings: u16,
    default: NameId,
    default_declared: bool,
}

#[derive(Default)]
pub(super) struct Scope {
    names: Vec<String>,
    bindings: Vec<(NcName, NameId)>,
    marks: Vec<Mark>,
    default: Option<NameId>,
    default_declared: bool,
}

impl Scope {
    /// An element opens; its declarations follow.
    pub(super) fn open(&mut self) {
        self.marks.push(Mark {
            names: id(self.names.len()),
            bindings: id(self.bindings.len()),
            default: self.default_ns(),
            default_declared: self.default_declared,
        });
        self.default_declared = false;
    }

    /// The newest element ends, and what it declared with it.
    pub(super) fn close(&mut self) {
        if let Some(mark) = self.marks.pop() {
            self.names.truncate(usize::from(mark.names));
            self.bindings.truncate(usize::from(mark.bindings));
            self.default = Some(mark.default);
            self.default_declared = mark.default_declared;
        }
    }

    /// The namespace of elements without a prefix.
    pub(super) fn default_ns(&self) -> NameId {
        self.default.unwrap_or(NameId::NONE)
    }

    /// `xmlns='name'` on the newest element.
    pub(super) fn declare_default(
        &mut self,
        name: String,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        if self.default_declared {
            return Err(duplicate());
        }
        self.default_declared = true;
        self.default = Some(match name.as_str() {
            "" => NameId::NONE,
            _ => self.push(name, limits)?,
        });
        Ok(())
    }

    /// `xmlns:prefix='name'` on the newest element. The lexer has refused `xml` for any other name than its
    /// own, that name for any other prefix, the prefix `xmlns`, and empty names.
    pub(super) fn declare(
        &mut self,
        prefix: NcName,
        name: String,
        limits: &Limits,
    ) -> Result<(), StreamError> {
        let first = self.marks.last().map_or(0, |mark| usize::from(mark.bindings));
        if self.bindings[first..].iter().any(|(known, _)| *known == prefix) {
            return Err(duplicate());
        }
        let name = self.push(name, limits)?;
        self.bindings.push((prefix, name));
        Ok(())
    }

    /// The namespace that a prefix stands for.
    pub(super) fn resolve(&self, prefix: &str) -> Result<NameId, StreamError> {
        if prefix == "xml" {
            return Ok(NameId::XML);
        }
        let bound = self.bindings.iter().rev().find(|(known, _)| known.as_str() == prefix);
        bound
            .map(|&(_, name)| name)
            .ok_or_else(|| fault(StreamCondition::BadNamespacePrefix, "prefix is not declared"))
    }

    /// The name behind an id that is in scope.
    pub(super) fn name(&self, name: NameId) -> &str {
        match name {
            NameId::NONE => ns::NONE,
            NameId::XML => ns::XML,
            NameId(id) => {
                self.names.get(usize::from(id - NameId::FIRST)).map_or("", String::as_str)
            }
        }
    }

    /// Whether two ids stand for one namespace.
    pub(super) fn same(&self, one: NameId, other: NameId) -> bool {
        one == other || self.name(one) == self.name(other)
    }

    /// Gives room that only stood in reserve back.
    pub(super) fn release(&mut self) {
        self.names.shrink_to_fit();
        self.bindings.shrink_to_fit();
        self.marks.shrink_to_fit();
    }

    #[cfg(test)]
    pub(super) fn heap_bytes(&self) -> usize {
        let texts: usize = self.names.iter().map(String::capacity).sum();
        texts
            + self.names.capacity() * size_of::<String>()
            + self.bindings.capacity() * size_of::<(NcName, NameId)>()
            + self.marks.capacity() * size_of::<Mark>()
    }

    fn push(&mut self, name: String, limits: &Limits) -> Result<NameId, StreamError> {
        if name == ns::XMLNS {
            return Err(fault(StreamCondition::BadNamespacePrefix, "reserved namespace"));
        }
        // What the stream header declared is not counted against its stanzas.
        let header = self.marks.get(1).map_or(0, |mark| usize::from(mark.names));
        if self.names.len() - header >= limits.namespaces.min(30_000) {
            return Err(too_much("too many namespaces"));
        }
        name::check_namespace(&name, limits)?;
        self.names.push(name);
        Ok(NameId(id(self.names.len() - 1) + NameId::FIRST))
    }
}

fn duplicate() -> StreamError {
    fault(StreamCondition::NotWellFormed, "namespace declared twice on one element")
}

/// Lengths here are bounded by [`Scope::push`].
fn id(length: usize) -> u16 {
    u16::try_from(length).unwrap_or(u16::MAX)
}
