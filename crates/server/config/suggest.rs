//! Owns the hint behind an unknown key: the known name that is nearest.

/// Adds the nearest known name to an error that names an unknown key and the known ones.
pub fn explain(error: &str) -> String {
    let error = error.trim_end();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_named() {
        let error = "TOML parse error\nunknown field `stanza_byte`, expected one of `enabled`, `stanza_bytes`";
        assert!(explain(error).ends_with("did you mean `stanza_bytes`?"));
        assert_eq!(explain("expected a string"), "expected a string");
    }
}
