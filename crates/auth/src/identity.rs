//! Who asks to be whom: the authentication identity, and the authorization identity that must be
//! the same person (RFC 6120 §6.3.7, §6.3.8). It does not know the rules of JIDs; what it compares
//! loosely can only refuse, never grant, as a session is always the authenticated user's.

use crate::{Failure, saslprep};

/// Two names as the client gave them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim<'a> {
    /// Whose secret is proved.
    pub(crate) authcid: &'a str,
    /// Who to act as; none means the same.
    pub(crate) authzid: Option<&'a str>,
}

impl Claim<'_> {
    /// The prepared user name, if both names are one user of this domain.
    ///
    /// # Errors
    /// [`Failure::MalformedRequest`] for a user name that breaks SASLprep or is empty (RFC 5802
    /// §5.1), [`Failure::InvalidAuthzid`] for the identity of another.
    pub(crate) fn admit(&self, domain: &str) -> Result<String, Failure> {
        let username = saslprep::query(self.authcid).map_err(|_| Failure::MalformedRequest)?;
        if username.is_empty() {
            return Err(Failure::MalformedRequest);
        }
        let same = self.authzid.is_none_or(|authzid| {
            let asked = account(authzid, domain);
            asked.is_some() && asked == account(&username, domain)
        });
        if same { Ok(username.into_owned()) } else { Err(Failure::InvalidAuthzid) }
    }
}

/// One spelling for all that name the same account: `localpart@domain`, prepared and in lower
/// case. None if it cannot be prepared.
pub(crate) fn account(name: &str, domain: &str) -> Option<String> {
    let name = saslprep::query(name).ok()?.to_lowercase();
    let suffix = format!("@{}", domain.to_lowercase());
    let localpart = name.strip_suffix(&suffix).unwrap_or(&name);
    Some(format!("{localpart}{suffix}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(authcid: &str, authzid: Option<&str>) -> Result<String, Failure> {
        Claim { authcid, authzid }.admit("montague.example")
    }

    #[test]
    fn one_may_be_oneself_in_every_spelling() {
        let same = ["romeo", "romeo@montague.example", "Romeo@Montague.Example"];
        for authzid in same {
            assert_eq!(admit("romeo", Some(authzid)).as_deref(), Ok("romeo"), "{authzid}");
        }
        let full = "romeo@montague.example";
        assert_eq!(admit(full, Some(full)).as_deref(), Ok(full));
        assert_eq!(admit("romeo", None).as_deref(), Ok("romeo"));
    }

    #[test]
    fn one_may_not_be_another() {
        let others = [
            "juliet",
            "",
            "@",
            "@montague.example",
            "montague.example",
            "romeo@",
            "romeo@capulet.example",
            "juliet@montague.example",
            "romeo@montague.example/orchard",
            "romeo@montague.example@montague.example",
            " romeo",
            "romeo\u{7}",
            "admin@romeo",
        ];
        for authzid in others {
            assert_eq!(admit("romeo", Some(authzid)), Err(Failure::InvalidAuthzid), "{authzid:?}");
        }
    }

    #[test]
    fn the_user_name_leaves_prepared() {
        assert_eq!(admit("ro\u{ad}meo", None).as_deref(), Ok("romeo"));
        assert_eq!(admit("Romeo", None).as_deref(), Ok("Romeo"));
        for name in ["", "\u{ad}", "\u{7}", "a\0b", "\u{627}1"] {
            assert_eq!(admit(name, None), Err(Failure::MalformedRequest), "{name:?}");
        }
    }
}
