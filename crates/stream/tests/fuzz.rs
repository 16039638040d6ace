//! The properties of the stream over a corpus and over fixed mutations of it.

mod properties;

use std::fs;
use std::path::Path;

use properties::{
    canonical_bytes_say_what_the_input_said, cutting_changes_nothing, the_machine_keeps_its_order,
};

/// Inputs made from the corpus by each test.
const MUTATIONS: usize = 6000;

/// What mutations insert: the words that XML and streams are made of.
const WORDS: &[&str] = &[
    "<",
    ">",
    "</",
    "/>",
    "'",
    "\"",
    "=",
    "&",
    ";",
    "&amp;",
    "&lt;",
    "&#x41;",
    "&#10;",
    "&#0;",
    "&x;",
    "]]>",
    "<![CDATA[",
    "]",
    "<!--",
    "-->",
    "<!DOCTYPE x>",
    "<?xml version='1.0'?>",
    "<?x?>",
    " ",
    "\n",
    "\r",
    "\t",
    ":",
    " xmlns=''",
    " xmlns='urn:a'",
    " xmlns='jabber:client'",
    " xmlns='jabber:server'",
    " xmlns:a='urn:a'",
    " xmlns:b='urn:a'",
    " xmlns:xml='urn:a'",
    " a:x='1'",
    " b:x='2'",
    " xml:lang='de'",
    " to='a@b/c'",
    " from='@'",
    " id='1'",
    " type='set'",
    "<message>",
    "</message>",
    "<a:b>",
    "<iq type='get' id='1'><q xmlns='urn:q'/></iq>",
    "<presence/>",
    "</stream:stream>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "é",
    "\u{1F600}",
    "\u{FFFE}",
    "\0",
];

/// A small generator of numbers, the same on every run.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % below.max(1) as u64).expect("it is below a size")
    }
}

fn corpus() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/stream");
    let files = fs::read_dir(folder).expect("the corpus can be listed");
    let mut files: Vec<_> = files.flatten().map(|file| file.path()).collect();
    files.sort();
    assert!(files.len() > 10, "the corpus is there");
    files.iter().map(|file| fs::read(file).expect("a file of the corpus can be read")).collect()
}

/// Calls `check` with the corpus itself, then with mutations of it.
fn over_all(seed: u64, mut check: impl FnMut(&[u8], &mut Numbers)) {
    let corpus = corpus();
    let mut numbers = Numbers(seed);
    for input in &corpus {
        check(input, &mut numbers);
    }
    for _ in 0..MUTATIONS {
        let mut input = corpus[numbers.next(corpus.len())].clone();
        for _ in 0..=numbers.next(4) {
            mutate(&mut input, &corpus, &mut numbers);
        }
        check(&input, &mut numbers);
    }
}

fn mutate(input: &mut Vec<u8>, corpus: &[Vec<u8>], numbers: &mut Numbers) {
    let at = numbers.next(input.len() + 1);
    let end = (at + numbers.next(40)).min(input.len());
    match numbers.next(6) {
        0 => drop(input.drain(at..end)),
        1 => {
            let piece = input[at..end].to_vec();
            input.splice(at..at, piece);
        }
        2 => {
            let other = &corpus[numbers.next(corpus.len())];
            let from = numbers.next(other.len());
            input.splice(at.., other[from..].iter().copied());
        }
        3 if at < input.len() => input[at] ^= 1 << numbers.next(8),
        _ => {
            let word = WORDS[numbers.next(WORDS.len())];
            input.splice(at..at, word.bytes());
        }
    }
    input.truncate(20_000);
}

#[test]
fn cutting_an_input_changes_nothing_of_what_comes_out() {
    over_all(0x5eed_0001, |input, numbers| {
        let sizes: Vec<usize> = (0..5).map(|_| 1 + numbers.next(50)).collect();
        cutting_changes_nothing(input, &sizes);
    });
}

/// Pieces of stanzas, most of them plain XML, some nearly.
const PIECES: &[&[&str]] = &[
    &["<message", "<presence", "<iq", "<message", "<message xmlns='jabber:client'", "<r"],
    &[
        "",
        " to='a@x/r'",
        " to=\"a@x\" ",
        " to='@'",
        " to='a' to='b'",
        "\nid='\u{e9}>'",
        " to='&lt;'",
    ],
    &["", " type='get' id='1'", " type='chat'", " xml:lang='en'", " xml:lang=''", " xml:a=''"],
    &[">", ">", ">", " >", "/>", "\t/>", "/ >"],
    &[
        "",
        "text",
        "a &lt; b &amp;&gt;&apos;&quot;",
        "\u{1F600}",
        "]]",
        "]]>",
        ">",
        "\r\n",
        "\u{FFFE}",
        "\x7f",
    ],
    &[
        "<body>",
        "<body>",
        "<x xmlns='urn:a'>",
        "<x xmlns=\"urn:a\" b='>'>",
        "<x xmlns=''>",
        "<a:x>",
        "",
    ],
    &[
        "",
        "",
        "text\n",
        "<y/>",
        "<y xmlns='urn:b' c='\"'/>",
        "<y xmlns='jabber:client'/>",
        "<y></y>",
        "&#65;",
    ],
    &["", "<z>", "<z xml:lang='de'>", "<z b='' b=''>", "<z xmlns='urn:b'>", "<z.1-_ _a='\t'>"],
    &["", "", "<![CDATA[a]]>", "<!-- -->", "&a;", "<y y='1'  z = '2'/>", "<y y='1'z='2'/>", "\0"],
];

/// A stanza that is well-formed more often than not.
fn stanza(numbers: &mut Numbers) -> String {
    let picked: Vec<&str> = PIECES.iter().map(|of| of[numbers.next(of.len())]).collect();
    let name = |tag: &str| tag.trim_start_matches('<').split(' ').next().unwrap_or("").to_owned();
    let close = |tag: &str| match (tag.is_empty(), name(tag).trim_end_matches('>')) {
        (true, _) => String::new(),
        (false, name) => format!("</{name}>"),
    };
    if picked[3].contains('/') {
        return picked[..4].concat();
    }
    let ends = [close(picked[7]), close(picked[5]), close(picked[0])].concat();
    let mut stanza = picked.concat() + &ends;
    if numbers.next(20) == 0 {
        let at = (0..=stanza.len()).filter(|at| stanza.is_char_boundary(*at)).nth(numbers.next(40));
        stanza.insert_str(at.unwrap_or(0), WORDS[numbers.next(WORDS.len())]);
    }
    stanza
}

#[test]
fn whole_stanzas_and_pieces_of_them_are_read_alike() {
    let header = corpus().concat();
    let header =
        header.split_inclusive(|byte| *byte == b'>').find(|tag| tag.starts_with(b"<stream:"));
    let mut numbers = Numbers(0x5eed_0004);
    for _ in 0..MUTATIONS {
        let mut input = header.expect("a header is in the corpus").to_vec();
        for _ in 0..=numbers.next(3) {
            input.extend_from_slice(stanza(&mut numbers).as_bytes());
        }
        let size = 1 + numbers.next(input.len());
        cutting_changes_nothing(&input, &[size]);
        canonical_bytes_say_what_the_input_said(&input);
    }
}

#[test]
fn canonical_bytes_say_what_was_said_whoever_reads_them() {
    over_all(0x5eed_0002, |input, _| canonical_bytes_say_what_the_input_said(input));
}

#[test]
fn no_client_and_no_shell_brings_the_machine_out_of_order() {
    over_all(0x5eed_0003, |input, numbers| {
        the_machine_keeps_its_order(input, numbers.0);
    });
}
