//! Owns the PROXY protocol, versions 1 and 2: what a trusted load balancer says about the client's
//! address, before anything else on the connection. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most bytes that a header has; version 1 has at most 107, version 2 may carry extras, of which
/// this many are let pass.
const MAX_BYTES: usize = 1_024;

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const V2_HEAD_BYTES: usize = 16;

/// What the bytes so far amount to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Not all of it is there.
    Partial,
    /// It takes so many bytes, and names the client; none where the balancer speaks for itself.
    Whole {
        /// Bytes of the header.
        len: usize,
        /// The client.
        client: Option<SocketAddr>,
    },
    /// It is no header.
    Wrong,
}

/// Reads the header at the beginning of `input`.
pub(crate) fn read(input: &[u8]) -> Header {
    let header = match input.first() {
        None => Header::Partial,
        Some(b'\r') => binary(input),
        Some(_) => text(input),
    };
    match header {
        Header::Partial if input.len() >= MAX_BYTES => Header::Wrong,
        header => header,
    }
}

fn text(input: &[u8]) -> Header {
    const MAX_LINE: usize = 107;
    let prefix = b"PROXY ";
    if !input.iter().zip(prefix).all(|(byte, wanted)| byte == wanted) {
        return Header::Wrong;
    }
    let window = &input[..input.len().min(MAX_LINE)];
    let Some(end) = window.windows(2).position(|pair| pair == b"\r\n") else {
        return if window.len() == MAX_LINE { Header::Wrong } else { Header::Partial };
    };
    let line = str::from_utf8(&window[..end]).ok().and_then(|line| line.strip_prefix("PROXY "));
    let Some(line) = line else { return Header::Wrong };
    let len = end + 2;
    if line == "UNKNOWN" || line.starts_with("UNKNOWN ") {
        return Header::Whole { len, client: None };
    }
    match source(line) {
        Some(client) => Header::Whole { len, client: Some(client) },
        None => Header::Wrong,
    }
}

/// `TCP4 source destination source-port destination-port`
fn source(line: &str) -> Option<SocketAddr> {
    let words: Vec<&str> = line.split(' ').collect();
    let [family, source, _, port, _] = words[..] else { return None };
    let address: IpAddr = source.parse().ok()?;
    let fits = matches!((family, address), ("TCP4", IpAddr::V4(_)) | ("TCP6", IpAddr::V6(_)));
    fits.then_some(SocketAddr::new(address, port.parse().ok()?))
}

fn binary(input: &[u8]) -> Header {
    if !input.iter().zip(SIGNATURE).all(|(byte, wanted)| byte == wanted) {
        return Header::Wrong;
    }
    let Some((head, rest)) = input.split_first_chunk::<V2_HEAD_BYTES>() else {
        return Header::Partial;
    };
    let &[.., command, family, high, low] = head;
    let body_len = usize::from(u16::from_be_bytes([high, low]));
    if command >> 4 != 2 || command & 0xf > 1 || V2_HEAD_BYTES + body_len > MAX_BYTES {
        return Header::Wrong;
    }
    let Some(body) = rest.get(..body_len) else { return Header::Partial };
    let len = V2_HEAD_BYTES + body_len;
    // LOCAL: a health check of the balancer itself.
    if command & 0xf == 0 {
        return Header::Whole { len, client: None };
    }
    match (family >> 4, addresses(family >> 4, body)) {
        (1 | 2, None) => Header::Wrong,
        (_, client) => Header::Whole { len, client },
    }
}

/// Source and destination addresses, then their ports.
fn addresses(family: u8, body: &[u8]) -> Option<SocketAddr> {
    let port = |at: usize| body.get(at..)?.first_chunk().map(|port| u16::from_be_bytes(*port));
    let address = match (family, body.len()) {
        (1, 12..) => (Ipv4Addr::from(*body.first_chunk::<4>()?).into(), port(8)?),
        (2, 36..) => (Ipv6Addr::from(*body.first_chunk::<16>()?).into(), port(32)?),
        _ => return None,
    };
    Some(SocketAddr::from((address.0, address.1) as (IpAddr, u16)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v2(command: u8, family: u8, body: &[u8]) -> Vec<u8> {
        let len = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &len, body].concat()
    }

    fn client(text: &str) -> Option<SocketAddr> {
        Some(text.parse().unwrap())
    }

    #[test]
    fn both_versions_name_the_client_wherever_the_input_is_cut() {
        let four = v2(0x21, 0x11, &[192, 0, 2, 1, 198, 51, 100, 1, 0xdc, 0x04, 0x14, 0x66]);
        let mut six = [0; 36];
        (six[0], six[15], six[33]) = (0x20, 1, 9);
        let cases = [
            (b"PROXY TCP4 192.0.2.1 198.51.100.1 56324 5222\r\n".to_vec(), "192.0.2.1:56324"),
            (b"PROXY TCP6 2001:db8::1 2001:db8::2 56324 5222\r\n".to_vec(), "[2001:db8::1]:56324"),
            (four, "192.0.2.1:56324"),
            (v2(0x21, 0x21, &six), "[2000::1]:9"),
        ];
        for (header, address) in cases {
            for cut in 0..header.len() {
                assert_eq!(read(&header[..cut]), Header::Partial, "{cut} of {header:?}");
            }
            let input = [&header[..], b"<?xml"].concat();
            let whole = Header::Whole { len: header.len(), client: client(address) };
            assert_eq!(read(&input), whole);
        }
    }

    #[test]
    fn a_balancer_may_speak_for_itself() {
        for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2(0x20, 0, &[])] {
            assert_eq!(read(&header), Header::Whole { len: header.len(), client: None });
        }
    }

    #[test]
    fn whatever_is_no_header_is_refused() {
        let wrong = [
            b"<?xml version='1.0'?>".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 56324\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n".to_vec(),
            b"PROXY TCP4 192.0.2.1 198.51.100.1 65536 1\r\n".to_vec(),
            [&b"PROXY UNKNOWN "[..], &[b'x'; 100]].concat(),
            v2(0x31, 0x11, &[0; 12]),
            v2(0x22, 0x11, &[0; 12]),
            v2(0x21, 0x11, &[0; 11]),
            v2(0x21, 0x11, &[0; 2_000]),
        ];
        for header in wrong {
            assert_eq!(read(&header), Header::Wrong, "{header:?}");
        }
    }
}
