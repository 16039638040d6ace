//! Owns what makes errors of the file's shape plain: the known name that is nearest to an unknown key, and words of
//! people for those of the language that this is written in.

/// What is said of a value of the wrong kind, and what people call it.
const KINDS: [(&str, &str); 6] = [
    ("a sequence", "a list, such as [\"…\"]"),
    ("a map", "a table"),
    ("usize", "a whole number, 0 or more"),
    ("u64", "a whole number, 0 or more"),
    ("u32", "a whole number, 0 or more"),
    ("u16", "a whole number from 0 to 65535"),
];

/// Says it in words of people, and adds the nearest known name to an error that names an unknown key and the known ones.
pub fn explain(error: &str) -> String {
    let error = &plain(error.trim_end());
    let Some((_, names)) = error.split_once("unknown field ") else {
        return error.to_owned();
    };
    let mut names = names.split('`').skip(1).step_by(2);
    let Some(unknown) = names.next() else { return error.to_owned() };
    let nearest = names.min_by_key(|known| strsim::damerau_levenshtein(unknown, known));
    match nearest {
        Some(nearest) => format!("{error}\ndid you mean `{nearest}`?"),
        None => error.to_owned(),
    }
}

fn plain(error: &str) -> String {
    // The lines before the last show the place in the file.
    let (place, what) = error.rsplit_once('\n').unwrap_or(("", error));
    let what = if what.contains("invalid socket address") {
        "write an address and a port, such as \"127.0.0.1:5222\" or \"[::]:5222\"; a name is no address".to_owned()
    } else if let Some((got, wanted)) = what.split_once(", expected ") {
        let kind = KINDS.iter().find(|(kind, _)| *kind == wanted);
        let got = got.replace("invalid type: sequence", "invalid type: list");
        format!("{got}, expected {}", kind.map_or(wanted, |(_, plain)| plain))
    } else {
        what.to_owned()
    };
    if place.is_empty() { what } else { format!("{place}\n{what}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named() {
        let error = "TOML parse error\nunknown field `stanza_byte`, expected one of `enabled`, `stanza_bytes`";
        assert!(explain(error).ends_with("did you mean `stanza_bytes`?"));
        assert_eq!(explain("expected a string"), "expected a string");
    }

    #[test]
    fn words_of_the_language_are_said_for_people() {
        let list = "TOML parse error at line 2\nlisten = '[::]:5000'\ninvalid type: string \"[::]:5000\", expected a sequence";
        assert!(explain(list).ends_with("string \"[::]:5000\", expected a list, such as [\"…\"]"));
        assert!(explain(list).starts_with("TOML parse error at line 2\nlisten"));
        let number = "invalid value: integer `-1`, expected usize";
        assert_eq!(
            explain(number),
            "invalid value: integer `-1`, expected a whole number, 0 or more"
        );
        let host = explain("c2s = ['xmpp.example.org:5222']\ninvalid socket address syntax");
        assert!(host.contains("127.0.0.1:5222"), "{host}");
    }
}
