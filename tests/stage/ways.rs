//! Owns ways that a test spoils: a TCP proxy on loopback in front of a server. It needs no rights, as namespaces of the
//! network do. It loses nothing while a connection lasts, as TCP does, and keeps little: whoever sends on a way that is
//! held waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, Weak};
use std::thread;
use std::time::Duration;

use cluster::clock::BootTime;
use socket2::SockRef;

/// What one direction does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    Passes,
    /// Nothing comes out, and nobody is told, also of an end. What went in comes out when it passes again.
    Holds,
    /// Everything comes out so much later.
    Late(Duration),
    /// So many bytes come out at a time, with [`DRIP`] between.
    Drips(usize),
}

/// A way to a server. It ends with this, and all connections with it.
pub(crate) struct Way {
    /// Where whoever wants to go this way connects.
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    to: SocketAddr,
    /// From whoever connects, and back.
    flows: Mutex<[Flow; 2]>,
    refuses: AtomicBool,
    over: AtomicBool,
    connections: Mutex<Vec<Weak<Connection>>>,
    /// Bytes that have come out, by direction.
    carried: [AtomicU64; 2],
}

/// Both halves of a connection; they are closed when its last thread has ended.
struct Connection {
    ends: [TcpStream; 2],
    dead: AtomicBool,
}

/// What goes through one direction, in order.
enum Piece {
    /// Read at this time.
    Bytes(BootTime, Vec<u8>),
    End,
}

/// Most bytes of a piece, and most pieces of a direction.
const PIECE: usize = 16 << 10;
const PIECES: usize = 16;

/// Between two drips.
const DRIP: Duration = Duration::from_millis(5);

/// How often a thread that waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(20);

impl Way {
    /// A way to this address, at which somebody may listen later.
    pub(crate) fn to(to: SocketAddr) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            to,
            flows: Mutex::new([Flow::Passes; 2]),
            refuses: AtomicBool::new(false),
            over: AtomicBool::new(false),
            connections: Mutex::default(),
            carried: Default::default(),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Self { address, shared }
    }

    /// From now on bytes of whoever connects, and bytes back to it, flow so.
    pub(crate) fn flows(&self, there: Flow, back: Flow) {
        *self.shared.flows.lock().unwrap() = [there, back];
    }

    /// Everything flows as it should, and connections are let in.
    pub(crate) fn passes(&self) {
        self.shared.refuses.store(false, Ordering::Release);
        self.flows(Flow::Passes, Flow::Passes);
    }

    /// Every connection ends at once, for both ends as if the other had reset it (RFC 9293 §3.5.2). Says how many there
    /// were.
    pub(crate) fn resets(&self) -> usize {
        let mut connections = self.shared.connections.lock().unwrap();
        let open: Vec<_> = connections.drain(..).filter_map(|it| it.upgrade()).collect();
        open.iter().for_each(|connection| connection.die());
        open.len()
    }

    /// As [`Way::resets`], and whoever connects is reset too.
    pub(crate) fn is_cut(&self) -> usize {
        self.shared.refuses.store(true, Ordering::Release);
        self.resets()
    }

    /// Bytes that have come out so far, of whoever connects and back to it.
    pub(crate) fn carried(&self) -> [u64; 2] {
        [0, 1].map(|direction: usize| self.shared.carried[direction].load(Ordering::Acquire))
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Release);
        self.resets();
        // Wakes whoever accepts.
        drop(TcpStream::connect(self.address));
    }
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            if self.over.load(Ordering::Acquire) {
                return;
            }
            if self.refuses.load(Ordering::Acquire) {
                resets_at_its_end(&client);
                continue;
            }
            let shared = Arc::clone(&self);
            thread::spawn(move || shared.carry(client));
        }
    }

    /// Carries one connection. Where the way is held, nobody hears whether somebody listens at its end.
    fn carry(self: Arc<Self>, client: TcpStream) {
        while self.flow(0) == Flow::Holds && !self.over.load(Ordering::Acquire) {
            thread::park_timeout(LOOK);
        }
        let Ok(server) = TcpStream::connect(self.to) else { return resets_at_its_end(&client) };
        let ends = [client, server];
        for end in &ends {
            end.set_nodelay(true).unwrap();
            end.set_read_timeout(Some(LOOK)).unwrap();
            end.set_write_timeout(Some(LOOK)).unwrap();
        }
        let connection = Arc::new(Connection { ends, dead: AtomicBool::new(false) });
        let mut connections = self.connections.lock().unwrap();
        connections.retain(|known| known.strong_count() > 0);
        connections.push(Arc::downgrade(&connection));
        drop(connections);
        for direction in 0..2 {
            let (put, take) = sync_channel(PIECES);
            let reading = Arc::clone(&connection);
            thread::spawn(move || reading.read(direction, &put));
            let (shared, writing) = (Arc::clone(&self), Arc::clone(&connection));
            thread::spawn(move || shared.write(direction, &writing, &take));
        }
    }

    fn flow(&self, direction: usize) -> Flow {
        self.flows.lock().unwrap()[direction]
    }

    fn write(&self, direction: usize, connection: &Connection, pieces: &Receiver<Piece>) {
        let to = &connection.ends[1 - direction];
        while let Ok(piece) = pieces.recv() {
            let (at, bytes) = match piece {
                Piece::Bytes(at, bytes) => (at, bytes),
                Piece::End => {
                    self.await_turn(direction, connection, BootTime::now());
                    // It may have been reset.
                    to.shutdown(Shutdown::Write).ok();
                    return;
                }
            };
            let mut left = &bytes[..];
            while !left.is_empty() {
                let drips = self.await_turn(direction, connection, at);
                let many = drips.unwrap_or(left.len()).min(left.len());
                match (&mut &*to).write(&left[..many]) {
                    Ok(written) => {
                        self.carried[direction].fetch_add(written as u64, Ordering::AcqRel);
                        left = &left[written..];
                    }
                    Err(error) if is_late(&error) => {}
                    Err(_) => return connection.die(),
                }
                if connection.is_dead() {
                    return;
                }
            }
        }
    }

    /// Waits until what was read at this time may go out; how much of it, if not all.
    fn await_turn(&self, direction: usize, connection: &Connection, at: BootTime) -> Option<usize> {
        while !connection.is_dead() {
            let wait = match self.flow(direction) {
                Flow::Passes => return None,
                Flow::Holds => LOOK,
                Flow::Late(late) => match late.saturating_sub(BootTime::now().since(at)) {
                    Duration::ZERO => return None,
                    left => left.min(LOOK),
                },
                Flow::Drips(bytes) => {
                    thread::park_timeout(DRIP);
                    return Some(bytes);
                }
            };
            thread::park_timeout(wait);
        }
        None
    }
}

impl Connection {
    fn read(&self, direction: usize, put: &SyncSender<Piece>) {
        let from = &self.ends[direction];
        let mut buffer = vec![0; PIECE];
        while !self.is_dead() {
            let piece = match (&mut &*from).read(&mut buffer) {
                Ok(1..) if self.is_dead() => return,
                Ok(0) => Piece::End,
                Ok(bytes) => Piece::Bytes(BootTime::now(), buffer[..bytes].to_vec()),
                Err(error) if is_late(&error) => continue,
                Err(_) => Piece::End,
            };
            let ends = matches!(piece, Piece::End);
            // Nobody takes it any more where the connection is dead.
            if put.send(piece).is_err() || ends {
                return;
            }
        }
    }

    fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Acquire)
    }

    /// Its threads end, and with the last one both ends are reset.
    fn die(&self) {
        self.ends.iter().for_each(resets_at_its_end);
        self.dead.store(true, Ordering::Release);
    }
}

/// Whoever is at the other side is reset when this is closed.
fn resets_at_its_end(end: &TcpStream) {
    SockRef::from(end).set_linger(Some(Duration::ZERO)).unwrap();
}

fn is_late(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

mod tests {
    use super::*;

    /// A way, and both ends of one connection on it.
    fn connected() -> (Way, TcpStream, TcpStream) {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let way = Way::to(listener.local_addr().unwrap());
        let client = TcpStream::connect(way.address).unwrap();
        let (server, _) = listener.accept().unwrap();
        (way, client, server)
    }

    fn hears(mut end: &TcpStream, words: &str) {
        let mut heard = vec![0; words.len()];
        end.read_exact(&mut heard).unwrap();
        assert_eq!(heard, words.as_bytes());
    }

    /// Nothing comes in a time in which it would.
    fn hears_nothing(end: &TcpStream) {
        end.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        let heard = (&mut &*end).read(&mut [0]);
        assert!(heard.as_ref().is_err_and(is_late), "{heard:?}");
        end.set_read_timeout(None).unwrap();
    }

    #[test]
    fn a_way_passes_both_ways_and_ends_as_its_ends_do() {
        let (way, mut client, mut server) = connected();
        client.write_all(b"there").unwrap();
        hears(&server, "there");
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
        server.write_all(b"back").unwrap();
        hears(&client, "back");
        // It is counted a little later than it comes out.
        let begun = BootTime::now();
        while way.carried() != [5, 4] {
            assert!(BootTime::now().since(begun) < Duration::from_secs(60), "{:?}", way.carried());
            thread::park_timeout(LOOK);
        }
    }

    #[test]
    fn what_is_held_in_one_direction_comes_when_it_passes_again() {
        let (way, mut client, mut server) = connected();
        way.flows(Flow::Holds, Flow::Passes);
        client.write_all(b"there").unwrap();
        server.write_all(b"back").unwrap();
        hears(&client, "back");
        client.shutdown(Shutdown::Write).unwrap();
        hears_nothing(&server);
        way.passes();
        hears(&server, "there");
        assert_eq!(server.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn whoever_sends_on_a_way_that_is_held_waits() {
        let (way, mut client, _server) = connected();
        way.flows(Flow::Holds, Flow::Holds);
        client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        let most = 64 << 20;
        let full = (0..most >> 16).find_map(|_| client.write_all(&[0; 1 << 16]).err());
        assert!(full.is_some_and(|error| is_late(&error)), "{most} bytes were kept");
    }

    #[test]
    fn a_slow_way_is_slow_and_loses_nothing() {
        let (way, mut client, server) = connected();
        let late = Duration::from_millis(100);
        way.flows(Flow::Late(late), Flow::Passes);
        let begun = BootTime::now();
        client.write_all(b"late").unwrap();
        hears(&server, "late");
        assert!(BootTime::now().since(begun) >= late);
        way.flows(Flow::Drips(1), Flow::Passes);
        let begun = BootTime::now();
        client.write_all(&[b'x'; 20]).unwrap();
        hears(&server, &"x".repeat(20));
        assert!(BootTime::now().since(begun) >= DRIP * 15);
    }

    #[test]
    fn both_ends_of_a_way_that_is_cut_are_reset_and_so_is_whoever_comes() {
        let (way, mut client, mut server) = connected();
        // Whoever has been accepted at its end is not known to the way yet, but what comes through it is.
        client.write_all(b"there").unwrap();
        hears(&server, "there");
        assert_eq!(way.is_cut(), 1);
        for end in [&mut client, &mut server] {
            let error = end.read(&mut [0]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        let mut next = TcpStream::connect(way.address).unwrap();
        assert!(next.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset));
    }
}
