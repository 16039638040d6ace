//! Owns presence of contacts that waits behind edits of the roster which are not kept yet: clients hear of an approval
//! before they see who is there (RFC 6121 §3.1.5).

use std::collections::BTreeMap;

use xmpp::{BareJid, Stanza};

/// Most that waits of one contact; what is more passes at once.
const MOST: usize = 64;

/// The contacts that edits are under way of.
#[derive(Debug, Default)]
pub(super) struct Behind(BTreeMap<BareJid, Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    edits: usize,
    presence: Vec<Stanza>,
}

impl Behind {
    /// An edit is on its way to the store.
    pub(super) fn begin(&mut self, contact: &BareJid) {
        self.0.entry(contact.clone()).or_default().edits += 1;
    }

    /// An edit is kept, or refused. What waited, if it was the last one.
    pub(super) fn end(&mut self, contact: &BareJid) -> Vec<Stanza> {
        let Some(waiting) = self.0.get_mut(contact) else { return Vec::new() };
        waiting.edits -= 1;
        match waiting.edits {
            0 => self.0.remove(contact).unwrap_or_default().presence,
            _ => Vec::new(),
        }
    }

    /// Takes presence of a contact, in place of older presence of the same resource; gives back what need not wait.
    pub(super) fn hold(&mut self, contact: &BareJid, stanza: Stanza) -> Option<Stanza> {
        let Some(waiting) = self.0.get_mut(contact) else { return Some(stanza) };
        let ends = |it: &Stanza| (it.head().from.clone(), it.head().to.clone());
        match waiting.presence.iter().position(|it| ends(it) == ends(&stanza)) {
            Some(older) => waiting.presence[older] = stanza,
            None if waiting.presence.len() >= MOST => return Some(stanza),
            None => waiting.presence.push(stanza),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presence(resource: usize, show: &str) -> Stanza {
        let xml = format!(
            "<presence from='j@x.org/{resource}' to='r@x.org'><show>{show}</show></presence>"
        );
        crate::stage::stanza(&xml)
    }

    #[test]
    fn presence_waits_for_the_last_edit_and_the_newest_of_a_resource_counts() {
        let (contact, other) = (BareJid::parse("j@x.org"), BareJid::parse("k@x.org"));
        let (contact, other) = (contact.unwrap(), other.unwrap());
        let mut behind = Behind::default();
        assert!(behind.hold(&contact, presence(0, "a")).is_some(), "nothing is under way");
        behind.begin(&contact);
        behind.begin(&contact);
        assert!(behind.hold(&other, presence(0, "a")).is_some(), "it is of somebody else");
        for show in ["a", "b"] {
            assert!(behind.hold(&contact, presence(0, show)).is_none());
        }
        assert!(behind.end(&contact).is_empty(), "one more is under way");
        assert_eq!(behind.end(&contact), [presence(0, "b")]);
        assert!(behind.hold(&contact, presence(0, "c")).is_some(), "all is kept");
    }

    #[test]
    fn what_is_more_than_may_wait_passes_at_once() {
        let contact = BareJid::parse("j@x.org").unwrap();
        let mut behind = Behind::default();
        behind.begin(&contact);
        for resource in 0..MOST {
            assert!(behind.hold(&contact, presence(resource, "a")).is_none());
        }
        assert!(behind.hold(&contact, presence(MOST, "a")).is_some());
        assert_eq!(behind.end(&contact).len(), MOST);
    }
}
