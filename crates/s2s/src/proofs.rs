//! Owns what is looked for of a server beyond the authorities that are trusted here: TLSA records (RFC 7673), which
//! decide, and where authorities say no, fingerprints that its domain publishes (RFC 7711).

use rustls_pki_types::{CertificateDer, UnixTime};

use crate::config::Dane;
use crate::dial::Dialer;
use crate::resolve::{Target, TlsaRecords};
use crate::trust::{Delegation, Peer};

/// Most servers of a domain that are looked at where it connects to us.
const SERVERS_MAX: usize = 4;
/// Why nothing is enough where TLSA records must be there.
const UNSEALED: &str =
    "its servers have no TLSA records that DNSSEC proves, which the policy asks for";

/// A chain of certificates, that of the server first.
pub(crate) type Chain = Vec<CertificateDer<'static>>;

impl Dialer {
    /// What a server that we have connected to has shown, as that of a domain.
    pub(crate) async fn judge(
        &self,
        chain: &[CertificateDer<'_>],
        domain: &str,
        target: &Target,
        seals: &TlsaRecords,
    ) -> Peer {
        let (trust, now) = (self.trust.now(), UnixTime::now());
        let mut peer = trust.judge(chain, now);
        let hosts = target.proved.then(|| target.host.clone()).into_iter().collect();
        let delegation = Delegation { hosts, records: seals.records.clone() };
        let proof = match self.common.rules.dane_for(domain) {
            Dane::Off => None,
            Dane::Use => trust.sealed(chain, now, domain, &delegation),
            Dane::Require if seals.records.is_empty() => Some(Err(UNSEALED.to_owned())),
            Dane::Require => trust.sealed(chain, now, domain, &delegation),
        };
        match proof {
            Some(proof) => peer.learn(domain, proof),
            None if self.common.rules.posh && peer.vouches_for(domain).is_err() => {
                match self.vouched_by_posh(domain, chain).await {
                    Ok(()) => peer.learn(domain, Ok(())),
                    Err(why) => peer.remark(domain, why),
                }
            }
            None => {}
        }
        peer
    }

    /// Whether a chain is that of a server of a domain, which has connected to us; none where nothing says so. An error
    /// where the policy asks for more than authorities can say.
    pub(crate) async fn look_up(
        &self,
        domain: &str,
        chain: &[CertificateDer<'_>],
    ) -> Option<Result<(), String>> {
        let dane = self.common.rules.dane_for(domain);
        if dane != Dane::Off {
            let delegation = self.delegation(domain).await;
            let proof = match &delegation {
                Ok(found) if dane == Dane::Require && found.records.is_empty() => {
                    Some(Err(UNSEALED.to_owned()))
                }
                Ok(found) => self.trust.now().sealed(chain, UnixTime::now(), domain, found),
                Err(why) => Some(Err(why.clone())),
            };
            // Records are of servers, which may connect with another certificate: that says nothing.
            let proof = proof.filter(|it| it.is_ok() || dane == Dane::Require);
            if proof.is_some() {
                return proof;
            }
        }
        if !self.common.rules.posh {
            return None;
        }
        match self.vouched_by_posh(domain, chain).await {
            Ok(()) => Some(Ok(())),
            Err(why) => {
                tracing::debug!(peer = domain, error = why, "no fingerprint is known");
                None
            }
        }
    }

    /// What DNSSEC proves of all servers of a domain.
    async fn delegation(&self, domain: &str) -> Result<Delegation, String> {
        let targets = self.resolver.targets(domain, &mut |_| 0).await;
        let targets = targets.map_err(|error| error.to_string())?;
        let mut delegation = Delegation::default();
        for target in targets.into_iter().filter(|it| it.proved).take(SERVERS_MAX) {
            // One that cannot be reached is not asked for.
            if let Ok((_, seals)) = self.resolver.reach(&target).await {
                delegation.records.extend(seals.records);
                delegation.hosts.push(target.host);
            }
        }
        Ok(delegation)
    }
}
