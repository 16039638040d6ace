//! The opening of a stream: judging the client's header, and answering it (RFC 6120 §4.3, §4.7).

use data_encoding::HEXLOWER;
use xmpp::{BareJid, Jid, StreamCondition, StreamError};

use super::{Effect, Machine, Phase, Response};
use crate::StreamHeader;
use crate::features::StartTls;

/// Major and minor number; ordered as numbers (RFC 6120 §4.7.5).
type Version = (u32, u32);

impl Machine {
    /// Answers a stream header with our own, and with features or an error. The error comes after our header,
    /// however broken the client's was (RFC 6120 §4.9.1.2).
    pub(super) fn open(&mut self, header: &StreamHeader, effects: &mut Vec<Effect>) {
        let verdict = self.judge(header);
        let to = header.from.as_deref().and_then(|from| Jid::parse(from).ok());
        let version = header.version.as_ref().map(|_| "1.0");
        self.answer_header(verdict.as_ref().ok(), to.as_ref().map(Jid::bare_str), version, effects);
        match verdict {
            Ok(domain) => {
                self.domain = Some(domain);
                self.offer_features(effects);
            }
            Err(error) => self.close(Some(error), effects),
        }
    }

    /// Sends our header if that of the client never came whole: an error must stand in a stream.
    pub(super) fn open_for_error(&mut self, effects: &mut Vec<Effect>) {
        if !self.answered {
            self.answer_header(None, None, Some("1.0"), effects);
        }
    }

    fn offer_features(&mut self, effects: &mut Vec<Effect>) {
        let features = match self.account {
            Some(_) => self.config.features.after_login(),
            None => {
                let features = &self.config.features;
                features.before_login(self.domain.as_ref(), self.starttls, &self.offer)
            }
        };
        self.write(self.config.framing.features(&features), effects);
        self.phase = match self.account {
            Some(_) => Phase::Binding,
            None => Phase::SignIn,
        };
    }

    fn answer_header(
        &mut self,
        domain: Option<&BareJid>,
        to: Option<&str>,
        version: Option<&'static str>,
        effects: &mut Vec<Effect>,
    ) {
        // Where the wanted host is none of ours, one of ours stands for it (RFC 6120 §4.9.1.3).
        let from = domain.or_else(|| self.config.domains.first()).cloned();
        // No connection has more than `STREAMS_MAX` streams: TLS and SASL succeed once each.
        let id = HEXLOWER.encode(&self.seeds.pop_front().unwrap_or_default());
        let from = from.as_ref().map_or("", |domain| domain.as_str());
        self.write_header(&Response { from, to, id: &id, version }, effects);
    }

    /// Which domain the header asks for, or why it is refused.
    fn judge(&self, header: &StreamHeader) -> Result<BareJid, StreamError> {
        if let Some(condition) = header.fault {
            return Err(condition.into());
        }
        // Without a version it is 0.9, which knows neither SASL nor features (RFC 6120 §4.7.5).
        if header.version.as_deref().and_then(version) < Some((1, 0)) {
            return Err(StreamCondition::UnsupportedVersion.into());
        }
        let domain = self.addressed(header.to.as_deref())?;
        let from = header.from.as_deref().and_then(|from| Jid::parse(from).ok());
        let is_other = |account: &BareJid| from.is_some_and(|it| it.bare_str() != account.as_str());
        // Who logged in at one domain is nobody at another.
        match (&self.account, self.elsewhere(&domain)) {
            (Some(account), _) if account.domainpart() != domain.domainpart() => {
                Err(StreamCondition::NotAuthorized.into())
            }
            // Nor do they speak in anybody else's name (RFC 6120 §4.9.3.9).
            (Some(account), _) if is_other(account) => Err(StreamCondition::InvalidFrom.into()),
            (_, Some(host)) => Err(StreamError::see_other_host(host)),
            _ => Ok(domain),
        }
    }

    /// The host that serves a domain instead. Where TLS is to come it is not told before (RFC 6120 §4.9.3.19).
    fn elsewhere(&self, domain: &BareJid) -> Option<&str> {
        let moved = self.config.moved.iter().find(|(moved, _)| moved == domain);
        moved.filter(|_| self.starttls != StartTls::Required).map(|(_, host)| host.as_str())
    }

    fn addressed(&self, to: Option<&str>) -> Result<BareJid, StreamError> {
        let domains = &self.config.domains;
        let Some(to) = to else {
            // Some old clients leave it out; where one domain is served they can only mean that (§4.7.2).
            return match &domains[..] {
                [only] => Ok(only.clone()),
                _ => Err(StreamCondition::ImproperAddressing.into()),
            };
        };
        let to = Jid::parse(to).map_err(|_| StreamCondition::ImproperAddressing)?;
        if !to.is_domain() {
            return Err(StreamCondition::ImproperAddressing.into());
        }
        let known = domains.iter().find(|domain| domain.as_str() == to.as_str());
        known.cloned().ok_or_else(|| StreamCondition::HostUnknown.into())
    }
}

fn version(text: &str) -> Option<Version> {
    let (major, minor) = text.split_once('.')?;
    Some((number(major)?, number(minor)?))
}

/// Leading zeros count for nothing (RFC 6120 §4.7.5).
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}
