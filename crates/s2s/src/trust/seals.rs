//! Owns what TLSA records make of a certificate (RFC 6698 §2.1, RFC 7671 §5, RFC 7673 §4): where there are some that
//! count, they alone say which certificates a domain's server may show. Pure.

use rustls::RootCertStore;
use rustls_pki_types::{CertificateDer, UnixTime};

use super::{Peer, Trust};
use crate::tlsa::{DANE_EE, DANE_TA, PKIX_EE, PKIX_TA, Tlsa, strongest};

/// What DNSSEC proves of a domain's servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delegation {
    /// Their names: certificates may be for them instead of the domain (RFC 7673 §4.1).
    pub(crate) hosts: Vec<String>,
    /// Their TLSA records.
    pub(crate) records: Vec<Tlsa>,
}

/// A chain of certificates that is looked at.
struct Shown<'a> {
    leaf: &'a CertificateDer<'a>,
    rest: &'a [CertificateDer<'a>],
    /// What it is worth without TLSA records.
    peer: Peer,
    /// Whether it is for the domain, or for one of its servers.
    is_named: bool,
    now: UnixTime,
}

impl Trust {
    /// Whether a chain is that of a server of a domain, by what DNSSEC proves; none where that says nothing.
    pub(crate) fn sealed(
        &self,
        chain: &[CertificateDer<'_>],
        now: UnixTime,
        domain: &str,
        delegation: &Delegation,
    ) -> Option<Result<(), String>> {
        let Delegation { hosts, records } = delegation;
        let peer = self.judge(chain, now);
        let by_host = hosts.iter().any(|host| peer.is_for(host));
        let usable = strongest(records);
        if usable.is_empty() {
            return (peer.fault.is_none() && by_host).then_some(Ok(()));
        }
        let Some((leaf, rest)) = chain.split_first() else {
            return Some(peer.vouches_for(domain));
        };
        let is_named = by_host || peer.is_for(domain);
        let shown = Shown { leaf, rest, peer, is_named, now };
        let fits = usable.iter().any(|record| self.fits(record, &shown));
        Some(fits.then_some(()).ok_or_else(|| explain(&usable, &shown)))
    }

    fn fits(&self, record: &Tlsa, shown: &Shown<'_>) -> bool {
        let is_trusted = shown.peer.fault.is_none();
        match record.usage {
            // Names and dates are of no importance (RFC 7671 §5.1).
            DANE_EE => record.means(shown.leaf),
            DANE_TA => shown.is_named && self.is_issued(record, shown),
            PKIX_EE => is_trusted && shown.is_named && record.means(shown.leaf),
            PKIX_TA => is_trusted && shown.is_named && self.is_issued(record, shown),
            _ => false,
        }
    }

    /// Whether a chain leads to an authority that a record means: one that was shown, that the record holds itself, or,
    /// where it must be trusted as well, that is trusted anyway and need not be shown.
    fn is_issued(&self, record: &Tlsa, shown: &Shown<'_>) -> bool {
        let trusted = match record.usage {
            PKIX_TA => self.certificates.as_slice(),
            _ => &[],
        };
        let mut roots = RootCertStore::empty();
        let meant = shown.rest.iter().chain(trusted).filter(|it| record.means(it));
        roots.add_parsable_certificates(meant.cloned().map(CertificateDer::into_owned));
        roots.add_parsable_certificates(record.embedded());
        self.verify(shown.leaf, shown.rest, &roots, shown.now).is_ok()
    }
}

fn explain(usable: &[&Tlsa], shown: &Shown<'_>) -> String {
    let needs_others = usable.iter().all(|it| matches!(it.usage, PKIX_TA | PKIX_EE));
    match &shown.peer.fault {
        Some(fault) if needs_others => fault.clone(),
        _ => "its certificate is not one that its TLSA records mean".to_owned(),
    }
}

#[cfg(test)]
mod tests;
