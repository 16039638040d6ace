//! The accounts that the loads use, for filling servers with.

use serde::Serialize;

/// One account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// The bare JID.
    pub jid: String,
    /// The password.
    pub password: String,
}

/// Accounts `prefix0@domain`, `prefix1@domain` …, all with one password.
pub fn list(prefix: &str, domain: &str, password: &str, count: usize) -> Vec<Account> {
    let account = |number| Account {
        jid: format!("{prefix}{number}@{domain}"),
        password: password.to_owned(),
    };
    (0..count).map(account).collect()
}

/// One account a line: the JID, a blank, the password.
pub fn lines(accounts: &[Account]) -> String {
    let line = |account: &Account| format!("{} {}\n", account.jid, account.password);
    accounts.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_holds_the_jid_and_the_password() {
        let accounts = list("load", "localhost", "secret", 2);
        assert_eq!(lines(&accounts), "load0@localhost secret\nload1@localhost secret\n");
    }
}
