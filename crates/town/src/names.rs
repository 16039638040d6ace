//! Owns a name server on loopback, for tests of what is found by name: IPv4 addresses by UDP (RFC 1035 §4), and
//! nothing else.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Answers until the process ends.
#[derive(Clone, Debug)]
pub struct NameServer {
    address: SocketAddr,
    names: Arc<Mutex<BTreeMap<String, Vec<Ipv4Addr>>>>,
}

/// Where the question begins, behind the header.
const HEADER: usize = 12;

/// The largest message without extensions (RFC 1035 §2.3.4).
const LONGEST: usize = 512;

impl NameServer {
    /// Answers from now on, that it knows no name.
    ///
    /// # Errors
    /// Loopback has no port left.
    pub fn start() -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let server = Self { address: socket.local_addr()?, names: Arc::default() };
        let answering = server.clone();
        std::thread::spawn(move || {
            let mut query = [0; LONGEST];
            while let Ok((length, from)) = socket.recv_from(&mut query) {
                let answer = query.get(..length).and_then(|query| answering.answer(query));
                // Who asked asks again.
                answer.into_iter().for_each(|answer| drop(socket.send_to(&answer, from)));
            }
        });
        Ok(server)
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on a name has these addresses; with none, the name is not there.
    pub fn set(&self, name: &str, addresses: &[Ipv4Addr]) {
        let mut names = self.names();
        match addresses {
            [] => names.remove(name),
            addresses => names.insert(name.to_ascii_lowercase(), addresses.to_vec()),
        };
    }

    fn names(&self) -> MutexGuard<'_, BTreeMap<String, Vec<Ipv4Addr>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to one question; none where it is no question.
    fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name(query)?;
        let kind = u16::from_be_bytes(query.get(end..end + 2)?.try_into().ok()?);
        let question = query.get(HEADER..end + 4)?;
        let names = self.names();
        let known = names.get(&name);
        // A, in the class IN; of other kinds there are none.
        let addresses = known.filter(|_| kind == 1).map(Vec::as_slice).unwrap_or_default();
        let code: u16 = if known.is_some() { 0 } else { 3 };
        let mut answer = query.get(..2)?.to_vec();
        let count = u16::try_from(addresses.len()).ok()?;
        for word in [0x8180 | code, 1, count, 0, 0] {
            answer.extend(word.to_be_bytes());
        }
        answer.extend(question);
        for address in addresses {
            // The name of the question, A, IN, one second, four bytes.
            answer.extend([0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

/// The name of a question in lower case, and where it ends.
fn name(query: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), HEADER);
    loop {
        let length = usize::from(*query.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = std::str::from_utf8(query.get(at..at + length)?).ok()?;
        labels.push(label.to_ascii_lowercase());
        at += length;
    }
}
