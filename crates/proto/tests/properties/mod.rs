//! What must hold for every message that a peer sends. For the tests and the fuzzer.

use proto::wire;

/// Whatever the bytes are, reading them does no harm; and what can be read says the same when it is written
/// and read again.
pub(crate) fn what_is_read_is_written_and_read_again(bytes: &[u8]) {
    let Ok((envelope, crossing)) = wire::decode_bytes(bytes.to_vec().into()) else { return };
    let message = wire::encode(&envelope, crossing).expect("what was read has a message");
    let (again, same) = wire::decode(message).expect("what was written can be read");
    assert_eq!(crossing, same);
    assert_eq!(format!("{envelope:?}"), format!("{again:?}"));
}
