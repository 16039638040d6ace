//! Owns how domains are written in the settings: as an operator writes them, and as they are compared - prepared as
//! addresses are (RFC 7622 §3.2), and labels beyond ASCII in the form that DNS has for them, so that a domain is the same
//! in both.

use std::borrow::Cow;
use std::collections::BTreeMap;

use xmpp::BareJid;

use super::Rules;
use crate::resolve::ascii;

impl Rules {
    /// The same with every name as it is compared.
    ///
    /// # Errors
    /// Something is no name, or stands there twice.
    pub fn normalised(mut self) -> Result<Self, String> {
        for (key, list) in [("allow", &mut self.allow), ("deny", &mut self.deny)] {
            for name in list {
                *name = address(key, name)?;
            }
        }
        self.policies = keys("policies", self.policies)?;
        self.dane_of = keys("dane_of", self.dane_of)?;
        self.lanes_of = lanes(self.lanes_of)?;
        self.route = keys("route", self.route)?;
        self.posh_route = keys("posh_route", self.posh_route)?;
        Ok(self)
    }
}

/// A domain as the settings are looked up by.
pub(crate) fn key(domain: &str) -> Cow<'_, str> {
    match domain.is_ascii() {
        true => Cow::Borrowed(domain),
        false => ascii(domain).map_or(Cow::Borrowed(domain), Cow::Owned),
    }
}

/// Whether it is `host:port`, an IPv6 address in brackets, and something can listen there.
pub(crate) fn is_end(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let is_port = port.parse::<u16>().is_ok_and(|port| port != 0);
    is_port && BareJid::parse(host).is_ok_and(|host| host.localpart().is_none())
}

/// One entry of a list; in lists a single person may stand too.
fn address(list: &str, text: &str) -> Result<String, String> {
    let jid = parse(list, text)?;
    Ok(match jid.localpart() {
        Some(_) => jid.to_string(),
        None => key(jid.as_str()).into_owned(),
    })
}

fn keys<T>(table: &str, all: BTreeMap<String, T>) -> Result<BTreeMap<String, T>, String> {
    rename(table, all, |domain| key(domain).into_owned())
}

/// Lanes are told by addresses, as those are.
fn lanes<T>(all: BTreeMap<String, T>) -> Result<BTreeMap<String, T>, String> {
    rename("lanes_of", all, str::to_owned)
}

fn rename<T>(
    table: &str,
    all: BTreeMap<String, T>,
    name: impl Fn(&str) -> String,
) -> Result<BTreeMap<String, T>, String> {
    let mut named = BTreeMap::new();
    for (text, value) in all {
        let jid = parse(table, &text)?;
        if jid.localpart().is_some() {
            return Err(format!("s2s.{table}: {text:?} is an address, not a domain"));
        }
        if named.insert(name(jid.as_str()), value).is_some() {
            return Err(format!("s2s.{table}: {text:?} stands there twice, written in two ways"));
        }
    }
    Ok(named)
}

fn parse(key: &str, text: &str) -> Result<BareJid, String> {
    if text.contains('*') {
        return Err(format!(
            "s2s.{key}: {text:?} is not understood: write each domain; in deny, a domain stands for what is beneath it too"
        ));
    }
    BareJid::parse(text).map_err(|error| format!("s2s.{key}: {text:?} is no domain: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Dane, Policy};

    #[test]
    fn a_domain_is_the_same_however_it_is_written() {
        for written in ["Bad.Example", "bad.example.", "BAD.example"] {
            let rules = Rules { deny: vec![written.to_owned()], ..Rules::default() };
            let rules = rules.normalised().unwrap();
            assert_eq!(rules.policy_for("rooms.bad.example"), Policy::Off, "{written}");
        }
        for (written, other) in [
            ("m\u{fc}nchen.example", "xn--mnchen-3ya.example"),
            ("xn--mnchen-3ya.example", "m\u{fc}nchen.example"),
            ("M\u{dc}NCHEN.example", "m\u{fc}nchen.example"),
        ] {
            let rules = Rules {
                deny: vec![written.to_owned()],
                dane_of: [(written.to_owned(), Dane::Require)].into(),
                ..Rules::default()
            };
            let rules = rules.normalised().unwrap();
            assert_eq!(rules.policy_for(other), Policy::Off, "{written}");
            assert_eq!(rules.dane_for(other), Dane::Require, "{written}");
        }
        let rules = Rules {
            allow: vec!["Good.Example".to_owned()],
            policies: [("GOOD.example".to_owned(), Policy::Dialback)].into(),
            ..Rules::default()
        };
        assert_eq!(rules.normalised().unwrap().policy_for("good.example"), Policy::Dialback);
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for wrong in ["", "*.example.org", "*", "a..b", "http://a.example", "a b", "."] {
            let deny = Rules { deny: vec![wrong.to_owned()], ..Rules::default() };
            assert!(deny.check().unwrap_err().contains("s2s.deny"), "{wrong}");
            let route = [(wrong.to_owned(), "127.0.0.1:5269".to_owned())].into();
            assert!(Rules { route, ..Rules::default() }.check().is_err(), "{wrong}");
        }
        let policies = ["A.example", "a.example"].map(|name| (name.to_owned(), Policy::Off)).into();
        let said = Rules { policies, ..Rules::default() }.check().unwrap_err();
        assert!(said.contains("twice"), "{said}");
    }
}
