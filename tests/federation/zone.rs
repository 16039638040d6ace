//! Owns a name server that signs what it says: one zone, the root, with a key of its own, which whoever is to believe it
//! must be given.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hickory_resolver::proto::dnssec::crypto::Ed25519SigningKey;
use hickory_resolver::proto::dnssec::rdata::{DNSKEY, DNSSECRData, NSEC, RRSIG};
use hickory_resolver::proto::dnssec::{DnssecSigner, SigningKey as _};
use hickory_resolver::proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{A, AAAA, NS, SOA, SRV, TLSA};
use hickory_resolver::proto::rr::{DNSClass, Name, RData, Record, RecordSet, RecordType};

/// Seconds that an answer may be kept.
const TTL: u32 = 60;
/// Signatures hold for twenty years from 2024 on.
const LIFETIME: Duration = Duration::from_secs(20 * 365 * 86_400);

/// What is said, and how.
pub(crate) struct Zone {
    signer: DnssecSigner,
    /// The key of somebody else.
    forger: DnssecSigner,
    records: Vec<Record>,
    /// Zones that sign nothing, as the root says.
    unsigned: Vec<Name>,
    /// Names that are said by somebody else.
    forged: Vec<Name>,
    /// Names of which nothing can be said now.
    failing: Vec<Name>,
}

fn signer() -> DnssecSigner {
    let key = Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8().unwrap()).unwrap();
    let dnskey = DNSKEY::new(true, true, false, key.to_public_key().unwrap());
    DnssecSigner::new(dnskey, Box::new(key), Name::root(), LIFETIME)
}

fn name(text: &str) -> Name {
    Name::from_ascii(format!("{text}.")).unwrap()
}

impl Zone {
    pub(crate) fn new() -> Self {
        let (signer, forger) = (signer(), signer());
        let records = vec![Record::from_rdata(
            Name::root(),
            TTL,
            RData::DNSSEC(DNSSECRData::DNSKEY(signer.to_dnskey())),
        )];
        Self {
            signer,
            forger,
            records,
            unsigned: Vec::new(),
            forged: Vec::new(),
            failing: Vec::new(),
        }
    }

    /// The server of a domain: its service, its name, and where it is.
    pub(crate) fn leads(self, domain: &str, host: &str, server: SocketAddr) -> Self {
        let service = format!("_xmpp-server._tcp.{domain}");
        self.serves(&service, (10, host, server.port()))
            .has_address(host, Ipv4Addr::LOCALHOST.into())
    }

    /// A server of a service: its priority, its name, and its port. The root is the name of none.
    pub(crate) fn serves(
        mut self,
        service: &str,
        (priority, host, port): (u16, &str, u16),
    ) -> Self {
        let host = if host.is_empty() { Name::root() } else { name(host) };
        self.says(service, RData::SRV(SRV::new(priority, 5, port, host)));
        self
    }

    /// An address of a server.
    pub(crate) fn has_address(mut self, host: &str, address: IpAddr) -> Self {
        let data = match address {
            IpAddr::V4(address) => RData::A(A(address)),
            IpAddr::V6(address) => RData::AAAA(AAAA(address)),
        };
        self.says(host, data);
        self
    }

    /// Of this name nothing can be said now.
    pub(crate) fn fails(mut self, text: &str) -> Self {
        self.failing.push(name(text));
        self
    }

    /// Its certificate, by a TLSA record.
    pub(crate) fn seals(mut self, host: &str, port: u16, seal: &s2s::tlsa::Tlsa) -> Self {
        let (usage, selector, matching) = (seal.usage, seal.selector, seal.matching);
        let tlsa = TLSA::new(usage.into(), selector.into(), matching.into(), seal.data.clone());
        self.says(&format!("_{port}._tcp.{host}"), RData::TLSA(tlsa));
        self
    }

    /// What lies beneath a name is of a zone that signs nothing.
    pub(crate) fn leaves_unsigned(mut self, zone: &str) -> Self {
        self.unsigned.push(name(zone));
        self
    }

    /// What is said of a name is signed by somebody else.
    pub(crate) fn forges(mut self, text: &str) -> Self {
        self.forged.push(name(text));
        self
    }

    fn says(&mut self, text: &str, data: RData) {
        self.records.push(Record::from_rdata(name(text), TTL, data));
    }

    /// The key that whoever is to believe it must be given, as a zone file has it.
    pub(crate) fn anchor(&self) -> String {
        format!(". {TTL} IN DNSKEY {}\n", self.signer.to_dnskey())
    }

    /// Answers, as long as the process lives.
    pub(crate) fn serve(self) -> SocketAddr {
        self.serve_until_mended(Self::new()).0
    }

    /// The same; as the other one does, once that is said.
    pub(crate) fn serve_until_mended(self, mended: Self) -> (SocketAddr, Arc<AtomicBool>) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = socket.local_addr().unwrap();
        let is_mended = Arc::<AtomicBool>::default();
        let looks = Arc::clone(&is_mended);
        std::thread::spawn(move || {
            let mut query = [0; 4096];
            while let Ok((count, peer)) = socket.recv_from(&mut query) {
                let query = Message::from_vec(&query[..count]).unwrap();
                let zone = if looks.load(Ordering::SeqCst) { &mended } else { &self };
                drop(socket.send_to(&zone.answer(&query).to_vec().unwrap(), peer));
            }
        });
        (address, is_mended)
    }

    fn answer(&self, query: &Message) -> Message {
        let mut answer = Message::response(query.metadata.id, OpCode::Query);
        answer.metadata.message_type = MessageType::Response;
        answer.metadata.authoritative = true;
        answer.metadata.recursion_desired = true;
        answer.metadata.recursion_available = true;
        let asked = query.queries.first().unwrap();
        answer.add_query(asked.clone());
        let (of, kind) = (asked.name().clone(), asked.query_type());
        if self.failing.contains(&of) {
            answer.metadata.response_code = ResponseCode::ServFail;
            return answer;
        }
        let zone = self.unsigned.iter().find(|zone| zone.zone_of(&of));
        // Who is above a zone says whether it signs.
        if let Some(zone) = zone.filter(|zone| kind != RecordType::DS || **zone != of) {
            self.answer_unsigned(&mut answer, zone, (&of, kind));
            return answer;
        }
        let is_asked = |it: &&Record| it.name == of && it.record_type() == kind;
        let found: Vec<Record> = self.records.iter().filter(is_asked).cloned().collect();
        if !found.is_empty() {
            answer.add_answers(self.signed(found));
            return answer;
        }
        // It is nowhere, as the name itself says: between it and the next possible one is nothing.
        let next = of.prepend_label("\u{0}").unwrap_or_else(|_| of.clone());
        let cut = zone.is_some().then_some(RecordType::NS);
        let nsec = RData::DNSSEC(DNSSECRData::NSEC(NSEC::new_cover_self(next, cut)));
        answer.add_authorities(self.signed(vec![soa(&Name::root())]));
        answer.add_authorities(self.signed(vec![Record::from_rdata(of, TTL, nsec)]));
        answer
    }

    fn answer_unsigned(&self, answer: &mut Message, zone: &Name, (of, kind): (&Name, RecordType)) {
        let is_asked = |it: &&Record| it.name == *of && it.record_type() == kind;
        let found: Vec<Record> = self.records.iter().filter(is_asked).cloned().collect();
        if kind == RecordType::NS && of == zone {
            let server = RData::NS(NS(name("ns")));
            answer.add_answer(Record::from_rdata(zone.clone(), TTL, server));
        } else if found.is_empty() {
            answer.add_authority(soa(zone));
        } else {
            answer.add_answers(found);
        }
    }

    /// Records of one name and kind, and their signature.
    fn signed(&self, records: Vec<Record>) -> Vec<Record> {
        let first = &records[0];
        let (of, kind) = (first.name.clone(), first.record_type());
        let mut set = RecordSet::with_ttl(of.clone(), kind, TTL);
        for record in &records {
            set.insert(record.clone(), 0);
        }
        let signer = if self.forged.contains(&of) { &self.forger } else { &self.signer };
        let began = rcgen::date_time_ymd(2024, 1, 1);
        let signature = RRSIG::from_rrset(&set, DNSClass::IN, began, signer).unwrap();
        let signature = RData::DNSSEC(DNSSECRData::RRSIG(signature));
        records.into_iter().chain([Record::from_rdata(of, TTL, signature)]).collect()
    }
}

fn soa(zone: &Name) -> Record {
    let soa = SOA::new(name("ns"), name("people"), 1, 60, 60, 60, TTL);
    Record::from_rdata(zone.clone(), TTL, RData::SOA(soa))
}
