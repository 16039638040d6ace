//! Addresses: the tables of RFC 7622 §3.5, lengths, sharing, and what parsing must always give.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

fn text(input: &str) -> Result<String, JidError> {
    Jid::parse(input).map(|jid| jid.to_string())
}

/// RFC 7622 table 1. Where a second string is given, RFC 6122 (which the deployed network compares
/// by) folds the address into it, while RFC 7622 would keep it apart:
/// row 7 joins row 6 (`ß` folds to `ss`), row 11 joins rows 9 and 10 (final sigma is sigma).
#[test]
fn legal_addresses_are_read_as_the_deployed_network_reads_them() {
    let rows = [
        (1, "juliet@example.com", "juliet@example.com"),
        (2, "juliet@example.com/foo", "juliet@example.com/foo"),
        (3, "juliet@example.com/foo bar", "juliet@example.com/foo bar"),
        (4, "juliet@example.com/foo@bar", "juliet@example.com/foo@bar"),
        (5, r"foo\20bar@example.com", r"foo\20bar@example.com"),
        (6, "fussball@example.com", "fussball@example.com"),
        (7, "fu\u{df}ball@example.com", "fussball@example.com"),
        (8, "\u{3c0}@example.com", "\u{3c0}@example.com"),
        (9, "\u{3a3}@example.com/foo", "\u{3c3}@example.com/foo"),
        (10, "\u{3c3}@example.com/foo", "\u{3c3}@example.com/foo"),
        (11, "\u{3c2}@example.com/foo", "\u{3c3}@example.com/foo"),
        (12, "king@example.com/\u{265a}", "king@example.com/\u{265a}"),
        (13, "example.com", "example.com"),
        (14, "example.com/foobar", "example.com/foobar"),
        (15, "a.example.com/b@example.net", "a.example.com/b@example.net"),
    ];
    for (row, input, expected) in rows {
        assert_eq!(text(input).as_deref(), Ok(expected), "row {row}");
    }
}

/// RFC 7622 table 2. Rows 18, 20 and 21 are refused by RFC 7622 but are addresses by RFC 6122:
/// a space may begin a resourcepart, a Roman numeral folds to its letters, a chess king may stand
/// in a localpart. Others may have such names; new ones are not given (`prep::new_localpart`).
#[test]
fn illegal_addresses_are_refused_unless_the_deployed_network_has_them() {
    use JidError::{Empty, Invalid};
    use Part::{Domainpart, Localpart};
    let rows = [
        (16, "\"juliet\"@example.com", Err(Invalid(Localpart, PrepError::Prohibited('"')))),
        (17, "foo bar@example.com", Err(Invalid(Localpart, PrepError::Prohibited(' ')))),
        (18, "juliet@example.com/ foo", Ok("juliet@example.com/ foo")),
        (19, "@example.com/", Err(Empty(Localpart))),
        (20, "henry\u{2163}@example.com", Ok("henryiv@example.com")),
        (21, "\u{265a}@example.com", Ok("\u{265a}@example.com")),
        (22, "juliet@", Err(Empty(Domainpart))),
        (23, "/foobar", Err(Empty(Domainpart))),
    ];
    for (row, input, expected) in rows {
        assert_eq!(text(input), expected.map(str::to_owned), "row {row}");
    }
}

#[test]
fn an_empty_part_is_refused() {
    use Part::{Domainpart, Localpart, Resourcepart};
    for (input, part) in [
        ("", Domainpart),
        ("@", Localpart),
        (".", Domainpart),
        ("@example.com", Localpart),
        ("juliet@/balcony", Domainpart),
        ("example.com/", Resourcepart),
        ("juliet@example.com/", Resourcepart),
        ("\u{ad}@example.com", Localpart),
        ("juliet@example.com/\u{200d}", Resourcepart),
        ("\u{ad}", Domainpart),
    ] {
        let refused = Jid::parse(input).unwrap_err();
        let is_label = refused == JidError::Invalid(Domainpart, PrepError::Label);
        assert!(refused == JidError::Empty(part) || is_label, "{input:?}: {refused:?}");
    }
}

#[test]
fn a_part_may_have_1023_bytes_after_preparation_and_no_more() {
    let (fits, over) = ("a".repeat(1023), "a".repeat(1024));
    let longest = format!("{fits}@{fits}/{fits}");
    assert_eq!(text(&longest).map(|jid| jid.len()), Ok(3071));
    assert_eq!(text(&format!("{over}@b")), Err(JidError::TooLong(Part::Localpart)));
    assert_eq!(text(&over), Err(JidError::TooLong(Part::Domainpart)));
    assert_eq!(text(&format!("b/{over}")), Err(JidError::TooLong(Part::Resourcepart)));
    // 512 sharp s have 1024 bytes before and after; a final dot does not count.
    assert_eq!(
        text(&format!("{}@b", "\u{df}".repeat(512))),
        Err(JidError::TooLong(Part::Localpart))
    );
    assert_eq!(text(&format!("{fits}.")), Ok(fits.clone()));
    // 1021 bytes of fullwidth letters shrink to a third; one more byte of soft hyphen vanishes.
    assert_eq!(text(&format!("{}\u{ad}@b", "\u{ff41}".repeat(1023))), Ok(format!("{fits}@b")));
    let absurd = "\u{ad}".repeat(100_000);
    assert_eq!(text(&format!("a{absurd}@b")), Err(JidError::TooLong(Part::Localpart)));
}

#[test]
fn case_folds_in_localpart_and_domainpart_and_not_in_resourcepart() {
    assert_eq!(text("Juliet@EXAMPLE.com/Balcony").unwrap(), "juliet@example.com/Balcony");
    assert_eq!(text("\u{130}@b").unwrap(), "i\u{307}@b");
    assert_eq!(text("\u{39f}\u{394}\u{39f}\u{3a3}@b").unwrap(), "\u{3bf}\u{3b4}\u{3bf}\u{3c3}@b");
    assert_eq!(text("stra\u{df}e.example").unwrap(), "strasse.example");
}

#[test]
fn the_final_dot_of_a_domain_is_dropped_and_one_only() {
    assert_eq!(text("a@example.com./r").unwrap(), "a@example.com/r");
    assert_eq!(text("example.com\u{3002}").unwrap(), "example.com");
    let label = Err(JidError::Invalid(Part::Domainpart, PrepError::Label));
    assert_eq!(text("example.com.."), label);
    assert_eq!(text(".example.com"), label);
    assert_eq!(text("example..com"), label);
}

#[test]
fn a_separator_made_by_normalisation_does_not_separate() {
    // Fullwidth solidus and commercial at, ACCOUNT OF, ONE DOT LEADER (RFC 6122 A.7).
    for input in
        ["a\u{ff0f}b@c", "a\u{ff20}b@c", "a@b\u{ff0f}c", "b\u{ff20}c", "\u{2100}@b", "a\u{2024}b"]
    {
        assert!(matches!(Jid::parse(input), Err(JidError::Invalid(..))), "{input:?}");
    }
    assert_eq!(text("b/\u{ff20}\u{ff0f}").unwrap(), "b/@/");
}

#[test]
fn parts_are_put_together_only_if_each_is_one_part() {
    let jid = Jid::from_parts(Some("Juliet"), "Example.com.", Some("a/b@c")).unwrap();
    assert_eq!(jid, "juliet@example.com/a/b@c");
    assert_eq!(Jid::from_parts(None, "b", None).unwrap(), "b");
    assert!(Jid::from_parts(Some("a@b"), "c", None).is_err());
    assert!(Jid::from_parts(Some("a/b"), "c", None).is_err());
    assert!(Jid::from_parts(None, "a@b", None).is_err());
    assert!(Jid::from_parts(None, "a/b", None).is_err());
    assert_eq!(Jid::from_parts(Some(""), "b", None), Err(JidError::Empty(Part::Localpart)));
}

#[test]
fn bare_address_and_domain_share_the_string_of_the_full_one() {
    let full = FullJid::parse("juliet@example.com/balcony").unwrap();
    let (bare, domain) = (full.bare(), full.domain());
    assert!(Arc::ptr_eq(&full.0.text, &bare.0.text) && Arc::ptr_eq(&full.0.text, &domain.0.text));
    assert_eq!(bare, "juliet@example.com");
    assert_eq!(
        (bare.localpart(), bare.domainpart(), bare.resourcepart()),
        (Some("juliet"), "example.com", None)
    );
    assert_eq!(domain, "example.com");
    assert_eq!(
        (domain.localpart(), domain.domainpart(), domain.resourcepart()),
        (None, "example.com", None)
    );
    assert!(domain.is_domain() && !bare.is_domain());
    assert_eq!(bare.domain(), domain);
    assert_eq!(domain.bare(), domain);
    assert_eq!(full.resource(), "balcony");
    assert_eq!(full.bare_str(), "juliet@example.com");
}

#[test]
fn a_resource_is_added_to_a_bare_address_and_to_a_shared_domain() {
    let full = FullJid::parse("juliet@example.com/balcony").unwrap();
    let refused = full.bare().with_resource("gar\u{7f}den");
    let prohibited = PrepError::Prohibited('\u{7f}');
    assert_eq!(refused, Err(JidError::Invalid(Part::Resourcepart, prohibited)));
    let garden = full.bare().with_resource("garden").unwrap();
    assert_eq!(garden, "juliet@example.com/garden");
    assert_eq!((garden.localpart(), garden.resource()), (Some("juliet"), "garden"));
    let service = full.domain().with_resource("x").unwrap();
    assert_eq!(
        (service.localpart(), service.domainpart(), service.resource()),
        (None, "example.com", "x")
    );
    assert_eq!(full.bare().with_resource(""), Err(JidError::Empty(Part::Resourcepart)));
}

#[test]
fn bare_and_full_addresses_refuse_each_other() {
    assert_eq!(BareJid::parse("a@b/c"), Err(JidError::UnexpectedResource));
    assert_eq!(FullJid::parse("a@b"), Err(JidError::NoResource));
    let jid: Jid = "a@b/c".parse().unwrap();
    assert_eq!(jid.to_full().map(Jid::from), Some(jid.clone()));
    assert_eq!(jid.bare().to_full(), None);
    assert_eq!(BareJid::try_from(jid.clone()), Err(JidError::UnexpectedResource));
    assert!(FullJid::try_from(jid).is_ok());
}

#[test]
fn a_map_keyed_by_addresses_can_be_asked_with_a_string() {
    let full = FullJid::parse("a@b/c").unwrap();
    let map = HashMap::from([(full.bare(), 1)]);
    assert_eq!(map.get("a@b"), Some(&1));
    assert_eq!(map.get(&BareJid::parse("A@b.").unwrap()), Some(&1));
    assert_eq!(HashMap::from([(full, 2)]).get("a@b/c"), Some(&2));
}

#[test]
fn an_address_is_small() {
    assert_eq!(size_of::<Option<FullJid>>(), 24);
}

fn anything_like_an_address() -> impl Strategy<Value = String> {
    let part = || {
        prop_oneof![
            ".{1,12}",
            "[a-zA-Z0-9.\u{df}\u{130}\u{3a3}\u{3c2}\u{5d0}\u{627}\u{300}\u{345}\u{1f600}\u{ff21}\u{ad}\u{200d}-]{1,8}"
        ]
    };
    (proptest::option::of(part()), part(), proptest::option::of(part())).prop_map(
        |(local, domain, resource)| {
            let local = local.map(|local| local + "@").unwrap_or_default();
            let resource = resource.map(|resource| format!("/{resource}")).unwrap_or_default();
            local + &domain + &resource
        },
    )
}

proptest! {
    #[test]
    fn an_address_parses_to_itself(input in anything_like_an_address()) {
        if let Ok(jid) = Jid::parse(&input) {
            let again = Jid::parse(jid.as_str()).unwrap();
            prop_assert_eq!(&again, &jid);
            prop_assert_eq!(again.localpart(), jid.localpart());
            prop_assert_eq!(again.domainpart(), jid.domainpart());
            prop_assert_eq!(again.resourcepart(), jid.resourcepart());
            let parts = Jid::from_parts(jid.localpart(), jid.domainpart(), jid.resourcepart());
            prop_assert_eq!(parts, Ok(jid));
        }
    }
    // The short way round preparation comes to the same.
    #[test]
    fn an_address_is_spelt_by_what_prepares_to_it(
        input in anything_like_an_address(), other in anything_like_an_address()
    ) {
        if let Ok(jid) = Jid::parse(&input) {
            prop_assert!(jid.is_spelt(&input));
            prop_assert_eq!(jid.is_spelt(&other), Jid::parse(&other).is_ok_and(|it| it == jid));
            let upper = input.to_ascii_uppercase();
            prop_assert_eq!(jid.is_spelt(&upper), Jid::parse(&upper).is_ok_and(|it| it == jid));
        }
    }
}

#[test]
fn every_spelling_of_an_address_is_known() {
    for (jid, text, is) in [
        ("romeo@montague.lit", "ROMEO@Montague.lit.", true),
        ("romeo@montague.lit/Home", "romeo@montague.lit./Home", true),
        ("romeo@montague.lit/Home", "romeo@montague.lit/home", false),
        ("romeo@montague.lit", "romeo@montague.li", false),
        ("b\u{fc}cher.example", "B\u{dc}CHER.example", true),
        ("xn--bcher-kva.example", "XN--BCHER-KVA.example", true),
    ] {
        assert_eq!(Jid::parse(jid).unwrap().is_spelt(text), is, "{jid} {text}");
    }
}
