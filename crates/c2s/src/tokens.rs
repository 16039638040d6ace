//! Owns tokens (XEP-0484): which ones a client is given, which ones end, and how many clients of an account have any. The
//! rows are those of [`store::Kind::Token`]; what a token is, `auth::token` knows.

use std::sync::Arc;

use auth::token::{Attempt, Judged, Kept, Owner, SALT_LEN, Slots, TokenMechanism};
use auth::{Account, Failure, Offer};
use data_encoding::HEXLOWER;
use meter::clock::unix_seconds;
use sha2::{Digest as _, Sha256};
use stream::Tokens;
use xmpp::BareJid;

use crate::accounts::{Accounts, TokenRow};

/// Most clients of an account that have tokens; the one whose tokens end first makes room.
pub(crate) const DEVICES: usize = 20;
const DAY_SECONDS: u64 = 86_400;

/// Gives and takes tokens.
pub(crate) struct TokenIssuer {
    accounts: Arc<dyn Accounts>,
    secret: [u8; 32],
    /// How long they hold; 0: there are none.
    seconds: u64,
}

/// A token that a client is given.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) token: String,
    /// Seconds since 1970-01-01 UTC.
    pub(crate) end: u64,
}

/// Who logs in.
pub(crate) struct Who<'a> {
    pub(crate) jid: &'a BareJid,
    pub(crate) account: Option<&'a Account>,
    pub(crate) tokens: &'a Tokens,
    pub(crate) offer: &'a Offer,
}

impl Who<'_> {
    fn owner<'o>(&'o self, secret: &'o [u8], device: &'o str) -> Owner<'o> {
        let credentials = self.account.map(|account| &account.credentials);
        Owner { secret, account: self.jid.as_str(), device, credentials }
    }
}

impl TokenIssuer {
    pub(crate) fn new(accounts: Arc<dyn Accounts>, decoy_secret: &[u8], days: u32) -> Self {
        let secret = Sha256::new().chain_update(b"tokens").chain_update(decoy_secret).finalize();
        Self { accounts, secret: secret.into(), seconds: u64::from(days) * DAY_SECONDS }
    }

    /// What a stream with this offer is offered.
    pub(crate) fn offered(&self, offer: &Offer) -> Vec<String> {
        let offered = TokenMechanism::offered(offer).filter(|_| self.seconds > 0);
        offered.map(|mechanism| mechanism.name().to_owned()).collect()
    }

    /// The mechanism of this name, if it is offered.
    pub(crate) fn choose(&self, name: &str, offer: &Offer) -> Option<TokenMechanism> {
        let mut offered = TokenMechanism::offered(offer).filter(|_| self.seconds > 0);
        offered.find(|mechanism| mechanism.name() == name)
    }

    /// Judges what a client shows; what it is answered, and a token that takes the place of one that is half through
    /// its time (XEP-0484 §3.5). What must have ended has ended when this answers.
    pub(crate) async fn judge(
        &self,
        who: Who<'_>,
        attempt: &Attempt,
        mechanism: TokenMechanism,
    ) -> Result<(Vec<u8>, Option<Given>), Failure> {
        let device = who.tokens.device.as_deref().filter(|_| who.tokens.shown);
        let device = device.ok_or(Failure::MalformedRequest)?;
        let (now, item) = (unix_seconds(), item(device));
        let rows = self.rows(who.jid).await?;
        let row = rows.iter().find(|(known, _)| *known == item);
        let before = row.and_then(|(_, row)| Slots::decode(row)).unwrap_or_default();
        let owner = who.owner(&self.secret, device);
        let judged = before.judge(attempt, &owner, mechanism, who.offer, now)?;
        let Judged { answer, mut slots, used } = judged;
        if who.tokens.invalidate {
            slots = Slots::default();
        }
        let wanted = who.tokens.wanted.as_deref();
        let wanted = wanted.and_then(|name| self.choose(name, who.offer));
        let is_due = !who.tokens.invalidate && used.given + (used.end - used.given) / 2 <= now;
        let mechanism = wanted.or_else(|| is_due.then_some(mechanism));
        let kept = mechanism.map(|mechanism| self.make(mechanism, now)).transpose()?;
        slots.new = kept.or(slots.new);
        if slots != before {
            let row = (slots != Slots::default()).then(|| slots.encode());
            self.keep(who.jid, vec![(item, row)]).await?;
        }
        let given = kept.map(|kept| Given { token: owner.token(&kept), end: kept.end });
        Ok((answer, given))
    }

    /// A token for a client that has logged in otherwise and wants one (§3.2). A client that gets none logs in as before
    /// next time.
    pub(crate) async fn give(&self, who: Who<'_>) -> Option<Given> {
        // A guest does not come back.
        who.account?;
        let device = who.tokens.device.as_deref()?;
        let mechanism = self.choose(who.tokens.wanted.as_deref()?, who.offer)?;
        let given = self.try_give(&who, device, mechanism).await;
        given.inspect_err(|_| tracing::warn!(jid = %who.jid, "a token was not given")).ok()
    }

    async fn try_give(
        &self,
        who: &Who<'_>,
        device: &str,
        mechanism: TokenMechanism,
    ) -> Result<Given, Failure> {
        let (now, item) = (unix_seconds(), item(device));
        let rows = self.rows(who.jid).await?;
        let of = |(item, row): &TokenRow| (item.clone(), Slots::decode(row).unwrap_or_default());
        let (own, mut others): (Vec<_>, Vec<_>) =
            rows.iter().map(of).partition(|(known, _)| *known == item);
        let kept = self.make(mechanism, now)?;
        // One that was given before and never used has ended now (§3.5).
        let current = own.into_iter().next().and_then(|(_, slots)| slots.current);
        let slots = Slots { current, new: Some(kept) };
        others.sort_by_key(|(_, slots)| std::cmp::Reverse(slots.end()));
        let is_gone =
            |(at, (_, slots)): &(usize, &(String, Slots))| *at + 1 >= DEVICES || slots.end() <= now;
        let gone = others.iter().enumerate().filter(is_gone).map(|(_, (item, _))| item.clone());
        let mut rows: Vec<_> = gone.map(|item| (item, None)).collect();
        rows.push((item, Some(slots.encode())));
        self.keep(who.jid, rows).await?;
        let token = who.owner(&self.secret, device).token(&kept);
        Ok(Given { token, end: kept.end })
    }

    fn make(&self, mechanism: TokenMechanism, now: u64) -> Result<Kept, Failure> {
        let mut salt = [0; SALT_LEN];
        getrandom::fill(&mut salt).map_err(|_| Failure::TemporaryAuthFailure)?;
        Ok(Kept { salt, mechanism, given: now, end: now + self.seconds })
    }

    async fn rows(&self, jid: &BareJid) -> Result<Vec<TokenRow>, Failure> {
        let rows = self.accounts.tokens(jid.clone()).await;
        rows.map_err(|error| failed(jid, &error))
    }

    async fn keep(
        &self,
        jid: &BareJid,
        rows: Vec<(String, Option<Vec<u8>>)>,
    ) -> Result<(), Failure> {
        let kept = self.accounts.keep_tokens(jid.clone(), rows).await;
        kept.map_err(|error| failed(jid, &error))
    }
}

fn failed(jid: &BareJid, error: &crate::LookupError) -> Failure {
    let cause = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    tracing::error!(%jid, %error, "tokens are not to be had: {cause}");
    Failure::TemporaryAuthFailure
}

/// The name of a client's row: whoever reads rows does not learn what clients call themselves.
fn item(device: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(device)[..16])
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use auth::{Credentials, Terms};
    use futures_util::FutureExt as _;
    use futures_util::future::BoxFuture;

    use super::*;
    use crate::LookupError;

    /// The rows of one account.
    #[derive(Default)]
    struct Shelf(Mutex<Vec<TokenRow>>);

    impl Accounts for Shelf {
        fn account(&self, _: BareJid) -> BoxFuture<'static, Result<Option<Account>, LookupError>> {
            Box::pin(async { Ok(None) })
        }

        fn tokens(&self, _: BareJid) -> BoxFuture<'static, Result<Vec<TokenRow>, LookupError>> {
            let rows = self.0.lock().unwrap().clone();
            Box::pin(async { Ok(rows) })
        }

        fn keep_tokens(
            &self,
            _: BareJid,
            rows: Vec<(String, Option<Vec<u8>>)>,
        ) -> BoxFuture<'static, Result<(), LookupError>> {
            let kept = rows.into_iter().filter_map(|(item, row)| Some((item, row?)));
            *self.0.lock().unwrap() = kept.collect();
            Box::pin(async { Ok(()) })
        }
    }

    /// Logs in with a token that was given so many days ago and holds for fourteen.
    fn after(days: u64) -> Result<Option<Given>, Failure> {
        let jid = BareJid::parse("romeo@example.org").unwrap();
        let credentials = Credentials::decoy(b"salt", jid.as_str(), 10_000);
        let account = Account { enabled: true, leaving: false, credentials };
        let offer = Offer::new(Terms { tls: true, ..Terms::default() });
        let device = Some("d1".to_owned());
        let tokens = Tokens { device, shown: true, ..Tokens::default() };
        let who = Who { jid: &jid, account: Some(&account), tokens: &tokens, offer: &offer };

        let shelf = Arc::new(Shelf::default());
        let authenticator =
            TokenIssuer::new(Arc::clone(&shelf) as Arc<dyn Accounts>, b"secret", 14);
        let given = unix_seconds() - days * DAY_SECONDS;
        let mechanism = TokenMechanism::None;
        let kept =
            Kept { salt: [1; SALT_LEN], mechanism, given, end: given + authenticator.seconds };
        let token = who.owner(&authenticator.secret, "d1").token(&kept);
        let slots = Slots { current: Some(kept), new: None };
        *shelf.0.lock().unwrap() = vec![(item("d1"), slots.encode())];

        let message = auth::token::message("romeo", &token, &[]);
        let attempt = Attempt::read(&message, "example.org").unwrap();
        let judged = authenticator.judge(who, &attempt, mechanism).now_or_never().unwrap();
        judged.map(|(_, given)| given)
    }

    // XEP-0484 §3.5
    #[test]
    fn a_token_that_is_half_through_its_time_is_followed_by_another_until_it_ends() {
        assert!(after(6).unwrap().is_none());
        let given = after(8).unwrap().unwrap();
        assert!(given.end > unix_seconds() + 13 * DAY_SECONDS);
        assert_eq!(after(15).err(), Some(Failure::CredentialsExpired));
    }
}
