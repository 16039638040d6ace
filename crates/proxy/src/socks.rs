//! Owns what a client says first, by SOCKS5 (RFC 1928, XEP-0065 §10.2). Pure.

/// The most bytes that a client may say before its bytestream begins: a greeting with every method, and a request.
pub const MOST: usize = 2 + 255 + 4 + 1 + 255 + 2;

const VERSION: u8 = 5;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const DOMAIN: u8 = 3;
const ADDRESS_BYTES: usize = 40;

/// What both clients of a bytestream name: SHA1(StreamID, requester, target), in hexadecimal (XEP-0065 §5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address([u8; ADDRESS_BYTES]);

/// What comes of what was read.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More must be read.
    More,
    /// Say this, and go on; so many bytes are done with.
    Say(Vec<u8>, usize),
    /// The client wants this bytestream; so many bytes are done with.
    Wants(Address, usize),
    /// Say this, and close.
    Refuse(Vec<u8>),
}

impl Address {
    /// The address of a bytestream.
    #[must_use]
    pub fn of(sid: &str, requester: &str, target: &str) -> Self {
        use data_encoding::HEXLOWER;
        use sha1::Digest as _;
        let hash = sha1::Sha1::new().chain_update(sid).chain_update(requester);
        let mut address = [0; ADDRESS_BYTES];
        HEXLOWER.encode_mut(&hash.chain_update(target).finalize(), &mut address);
        Self(address)
    }

    fn read(text: &[u8]) -> Option<Self> {
        let digits: [u8; ADDRESS_BYTES] = text.to_ascii_lowercase().try_into().ok()?;
        let is_digit = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        digits.iter().all(is_digit).then_some(Self(digits))
    }

    /// What a client hears whose bytestream is known: its own words (XEP-0065 §5.3.2).
    #[must_use]
    pub fn granted(&self) -> Vec<u8> {
        reply(0, &self.0)
    }

    /// What a client hears whom nobody waits for any more.
    #[must_use]
    pub fn refused(&self) -> Vec<u8> {
        reply(2, &self.0)
    }
}

/// RFC 1928 §6
fn reply(status: u8, address: &[u8]) -> Vec<u8> {
    let length = u8::try_from(address.len()).unwrap_or_default();
    let mut reply = vec![VERSION, status, 0, DOMAIN, length];
    reply.extend_from_slice(address);
    reply.extend_from_slice(&[0, 0]);
    reply
}

/// The greeting (RFC 1928 §3): which methods the client knows. Nobody proves anything: the address is the proof.
#[must_use]
pub fn greeting(read: &[u8]) -> Step {
    match read {
        [] | [VERSION] => Step::More,
        [VERSION, count, rest @ ..] => match rest.get(..usize::from(*count)) {
            None => Step::More,
            Some(methods) if methods.contains(&0) => Step::Say(vec![VERSION, 0], 2 + methods.len()),
            Some(_) => Step::Refuse(vec![VERSION, NO_METHOD]),
        },
        _ => Step::Refuse(Vec::new()),
    }
}

/// The request (RFC 1928 §4), with an address for a name.
#[must_use]
pub fn request(read: &[u8]) -> Step {
    match read {
        [VERSION, CONNECT, _, DOMAIN, length, rest @ ..] => {
            let length = usize::from(*length);
            match (rest.get(..length).map(Address::read), rest.get(length..length + 2)) {
                (Some(Some(address)), Some([0, 0])) => Step::Wants(address, 5 + length + 2),
                (Some(_), Some(_)) => Step::Refuse(reply(2, &[])),
                _ => Step::More,
            }
        }
        [VERSION, CONNECT, _, DOMAIN] => Step::More,
        [VERSION, CONNECT, _, _, ..] => Step::Refuse(reply(8, &[])),
        [VERSION, CONNECT, ..] | [VERSION] | [] => Step::More,
        [VERSION, _, ..] => Step::Refuse(reply(7, &[])),
        _ => Step::Refuse(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(address: &str, port: u8) -> Vec<u8> {
        let mut bytes = vec![5, 1, 0, 3, u8::try_from(address.len()).unwrap()];
        bytes.extend_from_slice(address.as_bytes());
        bytes.extend_from_slice(&[0, port]);
        bytes
    }

    // XEP-0065 §5.3.2; the digest by another program.
    #[test]
    fn an_address_is_the_hash_of_the_stream_and_both_names() {
        let address =
            Address::of("vxf9n471bn46", "requester@example.com/foo", "target@example.org/bar");
        assert_eq!(&address.0, b"98b8d688d0f5d895fd41c5e7309a2e9e33ba32ff");
    }

    #[test]
    fn a_client_is_understood_however_its_bytes_come() {
        let greetings = [5, 2, 2, 0];
        for end in 0..greetings.len() {
            assert_eq!(greeting(&greetings[..end]), Step::More);
        }
        assert_eq!(greeting(&greetings), Step::Say(vec![5, 0], 4));
        assert_eq!(greeting(&[5, 1, 0, 9, 9]), Step::Say(vec![5, 0], 3));
        let address = Address::of("a", "b", "c");
        let text = String::from_utf8(address.0.to_vec()).unwrap();
        let bytes = wanted(&text.to_uppercase(), 0);
        for end in 0..bytes.len() {
            assert_eq!(request(&bytes[..end]), Step::More, "{end}");
        }
        assert_eq!(request(&bytes), Step::Wants(address, 47));
        let mut granted = wanted(&text, 0);
        granted[1] = 0;
        assert_eq!(address.granted(), granted);
    }

    #[test]
    fn nothing_but_a_bytestream_is_to_be_had() {
        for (bytes, code) in [
            (&[5, 1, 0, 1, 127, 0, 0, 1, 0, 80][..], 8),
            (&[5, 2, 0, 3, 1, b'a', 0, 0], 7),
            (&[5, 3, 0, 3, 1, b'a', 0, 0], 7),
            (&wanted("example.org", 0), 2),
            (&wanted(&"a".repeat(40), 80), 2),
            (&wanted(&"z".repeat(40), 0), 2),
        ] {
            let Step::Refuse(reply) = request(bytes) else { panic!("{bytes:?}") };
            assert_eq!(reply[..2], [5, code], "{bytes:?}");
        }
        assert_eq!(greeting(&[5, 1, 2]), Step::Refuse(vec![5, 0xff]));
        assert_eq!(greeting(b"GET / HTTP/1.1"), Step::Refuse(Vec::new()));
        assert_eq!(request(b"GET"), Step::Refuse(Vec::new()));
    }
}
