//! Owns the row of a stored message: what has caused the message, where that is known, and the whole stanza. By its cause
//! the session that gets it knows it again when its sender says it once more.

use bytes::Bytes;
use store::{split_origin, write_origin};
use xmpp::{Origin, Stanza, kept};

/// The row's value.
pub(super) fn write(stanza: &Stanza, cause: Option<Origin>) -> Bytes {
    let stanza = kept::write(stanza);
    match cause {
        Some(cause) => [&write_origin(cause)[..], &stanza].concat().into(),
        None => stanza,
    }
}

/// The stanza and its cause; none for what [`fn@write`] has not written.
pub(super) fn read(value: &[u8]) -> Option<(Stanza, Option<Origin>)> {
    let (cause, stanza) = split(value);
    Some((kept::read(stanza)?, cause))
}

/// The stanza as it stands in the row.
pub(crate) fn stanza_in(value: &[u8]) -> &[u8] {
    split(value).1
}

fn split(value: &[u8]) -> (Option<Origin>, &[u8]) {
    match split_origin(value) {
        Some((cause, stanza)) => (Some(cause), stanza),
        None => (None, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_out_of_its_row_with_and_without_a_cause() {
        let xml = b"<message xmlns='jabber:client' from='a@x' to='b@y'><body>hi</body></message>";
        let stanza = kept::read(xml).unwrap();
        for cause in [None, Some(Origin::Client { session: 7, seq: 3, part: 1 })] {
            let row = write(&stanza, cause);
            assert_eq!(stanza_in(&row), &kept::write(&stanza));
            assert_eq!(read(&row), Some((stanza.clone(), cause)));
            assert_eq!(read(&row[1..]), None);
        }
    }
}
