//! Owns the records that an operator publishes in DNS for a domain that is served here, as a zone file has them.

use std::net::SocketAddr;

use s2s::resolve::ascii;
use s2s::tlsa::Tlsa;
use xmpp::BareJid;

use crate::config::Config;

/// Most bytes of the expression of a NAPTR record, which is one string of DNS (RFC 3403 §4.1, RFC 1035 §3.3).
const EXPRESSION_MAX: usize = 255;

/// The records, one a line. `certificate` is what the domain's own one is to be known by (RFC 7673).
pub(super) fn records(config: &Config, domain: &str, certificate: Option<&Tlsa>) -> Vec<String> {
    let Some(name) = ascii(domain) else { return Vec::new() };
    let mut records: Vec<String> = Vec::new();
    let mut seals = Vec::new();
    for (service, port) in ports(config) {
        records.push(format!("{service}._tcp.{name}. IN SRV 0 5 {port} {name}."));
        seals.extend(certificate.map(|tlsa| format!("_{port}._tcp.{name}. IN TLSA {tlsa}")));
    }
    records.extend(seals);
    records
}

/// The records by which other servers find a service or component beneath a domain: it is where that is.
pub(super) fn beneath(config: &Config, domain: &str, service: &str) -> Vec<String> {
    let (Some(name), Some(host)) = (ascii(service), ascii(domain)) else { return Vec::new() };
    let for_servers = ports(config).filter(|(kind, _)| kind.ends_with("-server"));
    for_servers
        .map(|(kind, port)| format!("{kind}._tcp.{name}. IN SRV 0 5 {port} {host}."))
        .collect()
}

/// The services that this server has, and the port of each.
fn ports(config: &Config) -> impl Iterator<Item = (&'static str, u16)> {
    let listen = &config.listen;
    let port = |addresses: &[SocketAddr]| addresses.first().map(SocketAddr::port);
    let services = [
        ("_xmpp-client", port(&listen.c2s)),
        ("_xmpps-client", port(&listen.c2s_tls)),
        ("_xmpp-server", port(&listen.s2s)),
        ("_xmpps-server", port(&listen.s2s_tls)),
    ];
    services.into_iter().filter_map(|(service, port)| Some((service, port?)))
}

/// The record by which a telephone number leads to an address (RFC 4979 §5): `+441154960496=mary@example.org`. Its URI
/// names no authority (§4.1), and is one of ASCII alone (§4.2).
///
/// # Errors
/// What is wrong with it, for whoever has typed it.
pub(super) fn number(text: &str) -> Result<String, String> {
    let wrong =
        || format!("{text:?} is not a number and an address, as +441154960496=mary@example.org");
    let (number, address) = text.split_once('=').ok_or_else(wrong)?;
    let digits = number.strip_prefix('+').ok_or_else(wrong)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    // E.164 §6.2.1.
    if !is_number || digits.len() > 15 {
        return Err(wrong());
    }
    let address = BareJid::parse(address).map_err(|_| wrong())?;
    let domain = ascii(address.domain().as_str()).ok_or_else(wrong)?;
    let local: String = address.localpart().unwrap_or_default().bytes().map(encode).collect();
    let at = if local.is_empty() { "" } else { "@" };
    let expression = format!("!^.*$!xmpp:{local}{at}{domain}!");
    if expression.len() > EXPRESSION_MAX {
        return Err(format!("{address} is too long for a record of DNS"));
    }
    let labels: String = digits.chars().rev().map(|digit| format!("{digit}.")).collect();
    Ok(format!("{labels}e164.arpa. IN NAPTR 100 10 \"u\" \"E2U+xmpp\" \"{expression}\" ."))
}

/// What a URI holds as it is (RFC 3986 §2.3); everything else is encoded, also what the record itself uses.
fn encode(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_written_backwards_and_leads_to_an_address() {
        // RFC 4979 §5.
        let record = number("+441154960496=some-user@example.com").unwrap();
        assert_eq!(
            record,
            "6.9.4.0.6.9.4.5.1.1.4.4.e164.arpa. IN NAPTR 100 10 \"u\" \"E2U+xmpp\" \
             \"!^.*$!xmpp:some-user@example.com!\" ."
        );
        assert!(
            number("+1=ü!@münchen.example").unwrap().contains("%C3%BC%21@xn--mnchen-3ya.example!")
        );
        let long = |count: usize| number(&format!("+1={}@b.example", "a".repeat(count)));
        let most = EXPRESSION_MAX - "!^.*$!xmpp:@b.example!".len();
        assert!(long(most).is_ok());
        assert!(long(most + 1).unwrap_err().contains("too long"));
        for wrong in ["", "+44", "44=a@b", "+=a@b", "+44x=a@b", "+1=@b", "+1234567890123456=a@b"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn each_listener_has_its_record() {
        let config =
            Config::parse("[listen]\ns2s = ['[::]:5299']\ns2s_tls = []\n", "t", &[]).unwrap();
        let tlsa = Tlsa { usage: 3, selector: 1, matching: 1, data: vec![1, 255] };
        let records = records(&config, "localhost", Some(&tlsa));
        assert!(
            records.contains(&"_xmpp-server._tcp.localhost. IN SRV 0 5 5299 localhost.".to_owned())
        );
        assert!(records.contains(&"_5299._tcp.localhost. IN TLSA 3 1 1 01ff".to_owned()));
        assert!(!records.iter().any(|it| it.starts_with("_xmpps-server")), "{records:?}");
        let beneath = beneath(&config, "localhost", "rooms.localhost");
        assert_eq!(beneath, ["_xmpp-server._tcp.rooms.localhost. IN SRV 0 5 5299 localhost."]);
    }
}
