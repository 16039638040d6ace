//! Frames of clients, right and wrong.

use super::*;

/// A frame as a client sends it.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ 0..126 => out.push(MASKED | u8::try_from(length).unwrap()),
        length @ 126..65_536 => {
            out.push(MASKED | 126);
            out.extend_from_slice(&u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(octet, mask)| octet ^ mask));
    out
}

fn read_all(input: &[u8], step: usize) -> Result<Vec<Incoming>, Fault> {
    let mut frames = Frames::new(100_000);
    let mut read = Vec::new();
    for mut chunk in input.chunks(step) {
        while let Some(incoming) = frames.feed(&mut chunk)? {
            read.push(incoming);
        }
    }
    Ok(read)
}

fn fault(input: &[u8]) -> Fault {
    let whole = read_all(input, input.len()).expect_err("it is wrong");
    assert_eq!(read_all(input, 1), Err(whole), "the same wherever it is cut");
    whole
}

// RFC 6455 §5.7
#[test]
fn the_masked_hello_of_the_specification_is_read() {
    let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
    assert_eq!(read_all(&hello, 11), Ok(vec![Incoming::Message(b"Hello".to_vec())]));
    assert_eq!(frame(0x81, b"Hello"), hello);
}

#[test]
fn messages_are_whole_however_they_are_cut_into_frames_and_reads() {
    let long = "é<".repeat(20_000).into_bytes();
    let input = [
        frame(0x01, &long[..1]),
        frame(0x89, b"now"),
        frame(0x00, &long[1..70]),
        frame(0x00, &[]),
        frame(0x80, &long[70..]),
        frame(0x8a, &[]),
        frame(0x81, b"<a/>"),
        frame(0x88, &[]),
    ]
    .concat();
    let expected = vec![
        Incoming::Ping(b"now".to_vec()),
        Incoming::Message(long),
        Incoming::Pong,
        Incoming::Message(b"<a/>".to_vec()),
        Incoming::Close,
    ];
    for step in [1, 2, 3, 7, 1_000, input.len()] {
        assert_eq!(read_all(&input, step).as_ref(), Ok(&expected), "in steps of {step}");
    }
}

#[test]
fn whatever_breaks_the_framing_is_refused() {
    let mut unmasked = frame(0x81, b"Hello");
    unmasked[1] &= !MASKED;
    let highest_bit = [&[0x81, 0xff, 0x80][..], &[0; 11]].concat();
    let wasteful = [&[0x81, 0xfe, 0, 5][..], &[0; 4]].concat();
    let wasteful_64 = [&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff][..], &[0; 4]].concat();
    let cases = [
        ("not masked", unmasked),
        ("a reserved bit", frame(0xc1, b"x")),
        ("an unknown opcode", frame(0x83, b"x")),
        ("an unknown control opcode", frame(0x8b, b"x")),
        ("a continuation of nothing", frame(0x80, b"x")),
        ("a message within a message", [frame(0x01, b"x"), frame(0x81, b"y")].concat()),
        ("a ping in parts", frame(0x09, b"x")),
        ("a long ping", frame(0x89, &[0; 126])),
        ("the highest bit of a length", highest_bit),
        ("a length in two octets too many", wasteful),
        ("a length in eight octets for no reason", wasteful_64),
        ("half a code", frame(0x88, b"x")),
        ("a code that is never sent", frame(0x88, &1005_u16.to_be_bytes())),
    ];
    for (what, input) in cases {
        assert_eq!(fault(&input), Fault::Protocol, "{what}");
    }
    assert_eq!(fault(&frame(0x82, b"x")), Fault::NotText);
    assert_eq!(fault(&frame(0x81, b"\xff")), Fault::NotUtf8);
    assert_eq!(fault(&frame(0x88, b"\x03\xe8\xff")), Fault::NotUtf8);
}

#[test]
fn a_message_over_the_limit_is_refused_before_it_is_read() {
    let head = |length: u64| [&[0x81, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat();
    assert_eq!(fault(&head(100_001)), Fault::TooLarge);
    assert_eq!(fault(&head(u64::MAX >> 1)), Fault::TooLarge);
    let parts = [frame(0x01, &[b'x'; 60_000]), frame(0x80, &[b'x'; 40_001])].concat();
    assert_eq!(fault(&parts), Fault::TooLarge);
    let fits = [frame(0x01, &[b'x'; 60_000]), frame(0x80, &[b'x'; 40_000])].concat();
    assert_eq!(read_all(&fits, fits.len()).map(|read| read.len()), Ok(1));
}

#[test]
fn a_message_in_endless_frames_is_refused() {
    let mut input = frame(0x01, b"");
    (0..FRAMES_MAX).for_each(|_| input.extend(frame(0x00, b"")));
    assert_eq!(fault(&input), Fault::TooLarge);
}

#[test]
fn what_is_sent_has_the_shortest_head_and_no_mask() {
    for (length, head) in [
        (0, vec![0x81, 0]),
        (125, vec![0x81, 125]),
        (126, vec![0x81, 126, 0, 126]),
        (65_535, vec![0x81, 126, 0xff, 0xff]),
        (65_536, vec![0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
    ] {
        let mut out = b"before".to_vec();
        out.resize(6 + length, b'x');
        seal(&mut out, 6);
        assert_eq!(&out[6..6 + head.len()], head, "{length}");
        assert_eq!(out.len(), 6 + head.len() + length);
    }
    let mut out = Vec::new();
    ping(&mut out);
    pong(&mut out, b"now");
    close(&mut out, Fault::TooLarge.code());
    assert_eq!(out, [0x89, 0, 0x8a, 3, b'n', b'o', b'w', 0x88, 2, 0x03, 0xf1]);
}
