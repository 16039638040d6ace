//! What it costs to read an address, and to write a stanza for a receiver. Run by `cargo bench -p xmpp`.

use std::hint::black_box;

use divan::Bencher;
use divan::counter::BytesCount;
use xmpp::{Element, Head, Jid, Kind, MessageType, Stanza, ns, writer};

fn main() {
    divan::main();
}

/// The first two are as nearly all addresses are: prepared already, and ASCII. The third must be folded, the
/// others go through the tables of Unicode.
const ADDRESSES: [&str; 5] = [
    "romeo@montague.example",
    "romeo@montague.example/orchard",
    "Romeo@Montague.example/orchard",
    "j\u{fc}rgen@m\u{fc}nchen.example/b\u{fc}ro",
    "\u{5e9}\u{5dc}\u{5d5}\u{5dd}@\u{5d3}\u{5d5}\u{5d2}.example",
];

#[divan::bench(args = ADDRESSES)]
fn parse_jid(address: &str) -> Jid {
    Jid::parse(black_box(address)).expect("an address")
}

#[divan::bench]
fn bare_of_jid(bencher: Bencher<'_, '_>) {
    let address = Jid::parse("romeo@montague.example/orchard").expect("an address");
    bencher.bench_local(|| black_box(&address).bare());
}

fn message(body: usize) -> Stanza {
    let jid = |text: &str| Some(Jid::parse(text).expect("an address"));
    let head = Head {
        kind: Kind::Message(MessageType::Chat),
        id: Some("6f3a9c1e".into()),
        from: jid("juliet@capulet.example/balcony"),
        to: jid("romeo@montague.example/orchard"),
        lang: Some("en".into()),
    };
    Stanza::build(head, &[Element::new("body", "").with_text("a".repeat(body))])
}

/// An opening tag, and a copy of the content; what each receiver of a stanza costs.
#[divan::bench(args = [100, 10_000])]
fn write_stanza(bencher: Bencher<'_, '_>, body: usize) {
    let stanza = message(body);
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(stanza.len())).bench_local(|| {
        out.clear();
        black_box(&stanza).write(&mut out);
        black_box(&out);
    });
}

/// A small tree, as answers of the server are written.
#[divan::bench]
fn write_element(bencher: Bencher<'_, '_>) {
    let feature = |name: &str| Element::new("feature", ns::DISCO_INFO).with_attr("var", name);
    let mut query = Element::new("query", ns::DISCO_INFO);
    for name in [ns::PING, ns::TIME, ns::CARBONS, ns::BLOCKING, ns::VERSION] {
        query = query.with_child(feature(name));
    }
    let mut out = Vec::new();
    bencher.bench_local(|| {
        out.clear();
        black_box(&query).write(&mut out, "");
        black_box(&out);
    });
}

/// Text without and with characters that must be escaped.
#[divan::bench(args = ["Wherefore art thou Romeo? ", "a < b && c > d \u{2014} 'so' "])]
fn escape_text(bencher: Bencher<'_, '_>, words: &str) {
    let text = words.repeat(10);
    let mut out = Vec::new();
    bencher.counter(BytesCount::new(text.len())).bench_local(|| {
        out.clear();
        writer::text(&mut out, black_box(&text));
        black_box(&out);
    });
}
