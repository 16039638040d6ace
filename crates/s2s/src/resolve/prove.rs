//! Owns what DNSSEC proves of a name (RFC 4033). The chain of keys from the root is followed here, so nobody on the way
//! is believed, not even the name server that is asked.
//!
//! An answer may carry more than was asked for, all of it rightly signed; so only what belongs to the name, or to an
//! alias of it, is taken.

use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use hickory_resolver::config::ResolveHosts;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::dnssec::{Proof, TrustAnchors};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};

use super::ResolveError;

/// Most aliases that are followed.
const ALIASES_MAX: usize = 8;

/// Asks and checks.
pub(super) struct Validator {
    names: TokioResolver,
}

/// What DNS says of a name.
#[derive(Debug, PartialEq)]
pub(super) struct Found {
    pub(super) data: Vec<RData>,
    /// DNSSEC proves it. Otherwise whoever rules the name has not signed it.
    pub(super) secure: bool,
}

impl Validator {
    pub(super) fn new(
        mut builder: ResolverBuilder<TokioRuntimeProvider>,
        anchor: Option<&Path>,
    ) -> Result<Self, NetError> {
        let anchors = match anchor {
            Some(file) => TrustAnchors::from_file(file).map_err(|error| {
                NetError::from(format!("cannot read dns.trust_anchor {}: {error}", file.display()))
            })?,
            None => TrustAnchors::default(),
        };
        let options = builder.options_mut();
        // A file of this machine proves nothing; aliases must be proved as well.
        options.use_hosts_file = ResolveHosts::Never;
        options.preserve_intermediates = true;
        let names = builder.with_trust_anchor(Arc::new(anchors)).build()?;
        Ok(Self { names })
    }

    /// Forgets what DNS has said.
    pub(super) fn forget(&self) {
        self.names.clear_cache();
    }

    /// What DNS says of a name; nothing where there is nothing.
    ///
    /// # Errors
    /// DNS does not answer, or somebody answers what is false.
    pub(super) async fn look_up(
        &self,
        name: &str,
        kind: RecordType,
    ) -> Result<Found, ResolveError> {
        let nothing = Found { data: Vec::new(), secure: false };
        match self.names.lookup(name, kind).await {
            Ok(found) => Ok(Name::from_ascii(name)
                .map_or(nothing, |name| of_name(found.answers(), &name, kind))),
            Err(error) if error.is_no_records_found() => Ok(nothing),
            Err(NetError::Dns(DnsError::Nsec { proof: Proof::Insecure, .. })) => Ok(nothing),
            Err(error) => Err(ResolveError::Failed(format!(
                "DNSSEC does not prove what DNS says of {}: {error}",
                name.trim_end_matches('.')
            ))),
        }
    }

    /// The addresses of a host, and whether DNSSEC proves one of both kinds (RFC 7673 §3.2).
    pub(super) async fn addresses(&self, host: &str) -> Result<(Vec<IpAddr>, bool), ResolveError> {
        let name = format!("{host}.");
        let v6 = self.look_up(&name, RecordType::AAAA).await;
        let v4 = self.look_up(&name, RecordType::A).await;
        let is_secure = |it: &Result<Found, _>| it.as_ref().is_ok_and(|found| found.secure);
        let secure = is_secure(&v6) || is_secure(&v4);
        let mut addresses = Vec::new();
        for found in [v6, v4] {
            match found {
                // Beside a proved kind, those of the other one are as good: the certificate is proved.
                Ok(found) => addresses.extend(found.data.iter().filter_map(address)),
                Err(error) if !secure => return Err(error),
                Err(_) => {}
            }
        }
        match addresses.is_empty() {
            true => Err(ResolveError::None(format!("{host} has no address in DNS"))),
            false => Ok((addresses, secure)),
        }
    }
}

fn address(data: &RData) -> Option<IpAddr> {
    match data {
        RData::A(address) => Some(address.0.into()),
        RData::AAAA(address) => Some(address.0.into()),
        _ => None,
    }
}

/// What belongs to the name itself, or to the last alias of it; proved where all of that is.
fn of_name(answers: &[Record], name: &Name, kind: RecordType) -> Found {
    let (mut name, mut secure) = (name, true);
    for _ in 0..ALIASES_MAX {
        let own = |of: RecordType| {
            answers.iter().filter(move |it| it.name == *name && it.record_type() == of)
        };
        if own(kind).next().is_some() {
            secure &= own(kind).all(|it| it.proof == Proof::Secure);
            return Found { data: own(kind).map(|it| it.data.clone()).collect(), secure };
        }
        let Some(alias) = own(RecordType::CNAME).next() else { break };
        let RData::CNAME(target) = &alias.data else { break };
        secure &= alias.proof == Proof::Secure;
        name = &target.0;
    }
    Found { data: Vec::new(), secure: false }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use hickory_resolver::proto::rr::rdata::{A, CNAME};

    use super::*;

    fn name(text: &str) -> Name {
        Name::from_ascii(text).unwrap()
    }

    fn record(owner: &str, data: RData, proof: Proof) -> Record {
        let mut record = Record::from_rdata(name(owner), 60, data);
        record.proof = proof;
        record
    }

    fn a(last: u8) -> RData {
        RData::A(A(Ipv4Addr::new(192, 0, 2, last)))
    }

    #[test]
    fn only_what_belongs_to_the_name_is_taken_and_is_proved_where_every_alias_is() {
        use Proof::{Insecure, Secure};
        let alias = |to: &str| RData::CNAME(CNAME(name(to)));
        // Answers, what is found, whether it is proved.
        let cases: Vec<(Vec<Record>, Vec<RData>, bool)> = vec![
            (vec![record("h.example.", a(1), Secure)], vec![a(1)], true),
            (vec![record("H.example.", a(1), Secure)], vec![a(1)], true),
            (vec![record("h.example.", a(1), Insecure)], vec![a(1)], false),
            (vec![record("other.example.", a(9), Secure)], vec![], false),
            (
                vec![record("h.example.", a(1), Secure), record("other.example.", a(9), Secure)],
                vec![a(1)],
                true,
            ),
            (
                vec![
                    record("h.example.", alias("x.example."), Secure),
                    record("x.example.", a(2), Secure),
                ],
                vec![a(2)],
                true,
            ),
            (
                vec![
                    record("h.example.", alias("x.example."), Insecure),
                    record("x.example.", a(2), Secure),
                ],
                vec![a(2)],
                false,
            ),
            (vec![record("h.example.", alias("h.example."), Secure)], vec![], false),
        ];
        for (at, (answers, data, secure)) in cases.into_iter().enumerate() {
            let found = of_name(&answers, &name("h.example."), RecordType::A);
            assert_eq!(found, Found { data, secure }, "case {at}");
        }
    }
}
