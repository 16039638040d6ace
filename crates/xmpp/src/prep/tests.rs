//! Preparation: RFC 3454 steps, domains, and where old and new rules differ.

use proptest::prelude::*;

use super::*;

fn local(input: &str) -> Result<String, PrepError> {
    localpart(input).map(Cow::into_owned)
}

fn resource(input: &str) -> Result<String, PrepError> {
    resourcepart(input).map(Cow::into_owned)
}

fn domain(input: &str) -> Result<String, PrepError> {
    domainpart(input).map(Cow::into_owned)
}

#[test]
fn plain_ascii_is_borrowed() {
    assert!(matches!(localpart("romeo.montague+x"), Ok(Cow::Borrowed(_))));
    assert!(matches!(domainpart("im.example.com."), Ok(Cow::Borrowed("im.example.com"))));
    assert!(matches!(resourcepart("Orchard 7/@"), Ok(Cow::Borrowed(_))));
}

#[test]
fn widths_and_compatibility_forms_are_mapped() {
    assert_eq!(local("\u{ff2a}\u{ff55}liet").unwrap(), "juliet");
    assert_eq!(resource("\u{ff21}\u{2460}").unwrap(), "A1");
    assert_eq!(local("e\u{301}").unwrap(), "\u{e9}");
    assert_eq!(domain("\u{ff42}\u{fc}cher\u{3002}example").unwrap(), "b\u{fc}cher.example");
}

#[test]
fn emoji_newer_than_unicode_3_2_pass_unchanged() {
    assert_eq!(resource("\u{1f600} hi").unwrap(), "\u{1f600} hi");
    assert_eq!(local("\u{1f600}").unwrap(), "\u{1f600}");
    // Variation selectors and joiners are mapped to nothing, as ever (table B.1).
    assert_eq!(resource("\u{2764}\u{fe0f}\u{200d}\u{1f525}").unwrap(), "\u{2764}\u{1f525}");
}

#[test]
fn what_unicode_3_2_did_not_know_is_neither_folded_nor_normalised() {
    // CAPITAL SHARP S (5.1), GLAGOLITIC CAPITAL AZU (4.1), DIGIT ZERO FULL STOP (5.2).
    for input in ["\u{1e9e}", "\u{2c00}", "\u{1f100}"] {
        assert_eq!(local(input).unwrap(), input);
    }
    // Marks on either side of it are not reordered across it.
    let split = "a\u{301}\u{1f600}\u{323}";
    assert_eq!(resource(split).unwrap(), "\u{e1}\u{1f600}\u{323}");
}

#[test]
fn prohibited_characters_are_refused() {
    for c in [
        '\u{1680}',
        '\u{2028}',
        '\u{200e}',
        '\u{e000}',
        '\u{fffd}',
        '\u{fffe}',
        '\u{2ff0}',
        '\u{e0041}',
        '\u{85}',
    ] {
        let input = format!("a{c}");
        assert!(
            local(&input).is_err() && resource(&input).is_err() && domain(&input).is_err(),
            "{c:?}"
        );
    }
    for c in "\"&'/:<>@ \t\u{0}\u{7f}".chars() {
        assert_eq!(local(&format!("a{c}")), Err(PrepError::Prohibited(c)));
    }
    assert_eq!(resource("a\tb"), Err(PrepError::Prohibited('\t')));
    assert_eq!(resource("a\u{7f}"), Err(PrepError::Prohibited('\u{7f}')));
}

#[test]
fn right_to_left_text_stands_alone_and_at_both_ends() {
    let (alef, arabic) = ("\u{5d0}", "\u{627}");
    assert_eq!(local(&format!("{alef}1{alef}")).unwrap(), format!("{alef}1{alef}"));
    for mixed in [
        format!("{alef}a{alef}"),
        format!("1{arabic}"),
        format!("{arabic}1"),
        format!("{alef}\u{b7}"),
    ] {
        assert_eq!(local(&mixed), Err(PrepError::Bidi), "{mixed:?}");
        assert_eq!(resource(&mixed), Err(PrepError::Bidi), "{mixed:?}");
    }
    // In a domain the rule is one of the label, not of the name.
    assert_eq!(domain(&format!("{alef}{alef}.example")).unwrap(), format!("{alef}{alef}.example"));
    assert_eq!(domain(&format!("{alef}a.example")), Err(PrepError::Bidi));
}

#[test]
fn a_domain_label_is_letters_digits_and_inner_hyphens() {
    for good in ["localhost", "a-b.c", "1.2.3.4", "xn--bcher-kva.example", "_im.local"] {
        assert_eq!(domain(good).unwrap(), good);
    }
    assert_eq!(domain("XN--Bcher-KVA.example").unwrap(), "xn--bcher-kva.example");
    for bad in ["-a.b", "a-.b", "a.-", "a..b"] {
        assert_eq!(domain(bad), Err(PrepError::Label), "{bad:?}");
    }
    for bad in ["a b", "a\"b", "a<b", "a:5222", "::1", "a\u{2024}b", "a%b"] {
        assert!(matches!(domain(bad), Err(PrepError::Prohibited(_))), "{bad:?}");
    }
}

#[test]
fn ip_literals_have_one_spelling() {
    assert_eq!(domain("[2001:DB8:0:0::1]").unwrap(), "[2001:db8::1]");
    assert_eq!(domain("[::1].").unwrap(), "[::1]");
    for bad in ["[::1", "[1.2.3.4]", "[]", "[example.com]", "[fe80::1%25eth0]", "[::1]]"] {
        assert_eq!(domain(bad), Err(PrepError::IpLiteral), "{bad:?}");
    }
}

/// RFC 8265 §3.6 (and RFC 7622 §3.5 for `@` and the chess king), as names for new accounts.
/// Where the comment says "differ", RFC 7622 allows what RFC 6122 joins with another name (or the
/// other way round), and the name is not given.
#[test]
fn new_names_are_the_same_by_old_and_new_rules() {
    use NewNameError::{Ambiguous, Disallowed, Empty, Prep};
    let rows = [
        ("juliet@example.com", Err(Prep(PrepError::Prohibited('@')))),
        ("fussball", Ok(())),
        ("fu\u{df}ball", Err(Ambiguous)), // differ: folds to ss
        ("\u{3c0}", Ok(())),
        ("\u{3a3}", Ok(())),
        ("\u{3c3}", Ok(())),
        ("\u{3c2}", Err(Ambiguous)), // differ: folds to sigma
        ("foo bar", Err(Prep(PrepError::Prohibited(' ')))),
        ("", Err(Empty)),
        ("henry\u{2163}", Err(Disallowed('\u{2163}'))), // differ: folds to iv
        ("\u{221e}", Err(Disallowed('\u{221e}'))),      // differ: a symbol
        ("\u{265a}", Err(Disallowed('\u{265a}'))),      // differ: a symbol
        ("Juliet", Ok(())),
        ("\u{ff4a}uliet", Ok(())),
        (r"foo\20bar", Ok(())),
        ("b\u{fc}rger", Ok(())),
        ("bu\u{308}rger", Ok(())),
        ("\u{130}stanbul", Ok(())),
        ("a\u{ad}b", Err(Disallowed('\u{ad}'))), // differ: mapped to nothing
        ("a\u{200d}b", Err(Disallowed('\u{200d}'))), // differ: mapped to nothing
        ("\u{1e9e}", Err(NewNameError::Unassigned('\u{1e9e}'))),
        ("\u{1f600}", Err(NewNameError::Unassigned('\u{1f600}'))),
    ];
    for (input, expected) in rows {
        assert_eq!(new_localpart(input), expected, "{input:?}");
    }
    assert_eq!(new_localpart(&"a".repeat(1023)), Ok(()));
    assert_eq!(new_localpart(&"a".repeat(1024)), Err(NewNameError::TooLong));
}

#[test]
fn new_names_keep_the_rules_of_context_and_direction() {
    use NewNameError::{Bidi, Disallowed};
    let rows = [
        ("l\u{b7}l", Ok(())),
        ("a\u{b7}l", Err(Disallowed('\u{b7}'))),
        ("\u{375}\u{3b1}", Ok(())),
        ("\u{375}a", Err(Disallowed('\u{375}'))),
        ("\u{5d0}\u{5f3}\u{5d0}", Ok(())),
        ("a\u{5f3}", Err(NewNameError::Prep(PrepError::Bidi))),
        ("\u{30ab}\u{30fb}\u{30ab}", Ok(())),
        ("a\u{30fb}b", Err(Disallowed('\u{30fb}'))),
        ("\u{627}\u{661}\u{627}", Ok(())),
        ("\u{627}\u{661}\u{6f1}\u{627}", Err(Disallowed('\u{661}'))),
        // Digits alone begin with no letter; European and Arabic digits do not mix.
        ("\u{661}", Err(Bidi)),
        ("\u{627}1\u{661}\u{627}", Err(Bidi)),
        ("\u{640}\u{627}", Err(Disallowed('\u{640}'))),
        ("\u{1100}", Err(Disallowed('\u{1100}'))),
        ("\u{3007}\u{4e00}", Ok(())),
    ];
    for (input, expected) in rows {
        assert_eq!(new_localpart(input), expected, "{input:?}");
    }
}

/// The blocks where normalisation and case folding do anything.
fn mapped_code_points() -> impl Iterator<Item = char> {
    let blocks = ['\u{80}'..='\u{33ff}', '\u{a640}'..='\u{abff}', '\u{f900}'..='\u{ffff}'];
    let planes = ['\u{10400}'..='\u{104ff}', '\u{1d000}'..='\u{1f2ff}', '\u{2f800}'..='\u{2fa1f}'];
    blocks.into_iter().chain(planes).flatten()
}

/// Alone and before a mark: what preparation gives, it gives again.
#[test]
fn preparation_of_what_is_prepared_changes_nothing() {
    let inputs = mapped_code_points().flat_map(|c| [c.to_string(), format!("{c}\u{301}")]);
    for input in inputs {
        for prepare in [local, resource, domain] {
            let Ok(once) = prepare(&input) else { continue };
            assert!(once.is_empty() || prepare(&once).as_ref() == Ok(&once), "{input:?}");
        }
    }
}

/// A name that is given is its own spelling, and is then given too.
#[test]
fn the_name_that_is_kept_is_itself_a_new_name() {
    for c in mapped_code_points() {
        let input = format!("a{c}");
        if new_localpart(&input).is_ok() {
            assert_eq!(new_localpart(&local(&input).unwrap()), Ok(()), "{input:?}");
        }
    }
}

proptest! {
    /// Where no code point is newer than Unicode 3.2, the strict profiles give the same.
    #[test]
    fn strict_stringprep_agrees(input in "[\\x00-\u{3ff}\u{5d0}\u{627}\u{1e00}-\u{1fff}\u{2000}-\u{2fff}\u{fb00}-\u{fdff}\u{ff00}-\u{ffef}]{0,6}") {
        let input = input.replace(tables::unassigned_code_point, "");
        let strict = |result: Result<Cow<'_, str>, stringprep::Error>| result.map(Cow::into_owned).ok();
        prop_assert_eq!(local(&input).ok(), strict(stringprep::nodeprep(&input)));
        prop_assert_eq!(resource(&input).ok(), strict(stringprep::resourceprep(&input)));
    }
}
