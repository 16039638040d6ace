//! Owns the frames of a WebSocket, from the side of the server (RFC 6455 §5), as XMPP uses them (RFC 7395
//! §3.2): text messages in, in as many frames as the client likes; text messages, pongs and the closing frame
//! out. Knows nothing of what a message says.

#[cfg(test)]
mod tests;

/// What a client sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A whole text message. It is UTF-8.
    Message(Vec<u8>),
    /// A ping, to be answered by [`pong`] with the same octets.
    Ping(Vec<u8>),
    /// A pong, asked for or not (RFC 6455 §5.5.3).
    Pong,
    /// The client closes, and is owed a closing frame. Nothing behind it is read.
    Close,
}

/// Why a WebSocket must be failed (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The frame breaks the rules of framing.
    Protocol,
    /// A binary message (RFC 7395 §3.2).
    NotText,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A message over the limit, or in too many frames.
    TooLarge,
}

impl Fault {
    /// The code of the closing frame (RFC 6455 §7.4.1).
    pub fn code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::NotText => 1003,
            Self::NotUtf8 => 1007,
            Self::TooLarge => 1009,
        }
    }
}

/// The code of a closing frame where all is well.
pub const NORMAL: u16 = 1000;

/// The most frames of one message: each costs its sender six octets, and must not be free here.
const FRAMES_MAX: u32 = 1_024;
/// The most octets of a control frame's payload (RFC 6455 §5.5).
const CONTROL_MAX: usize = 125;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Opcode {
    Continuation,
    Text,
    Close,
    Ping,
    Pong,
}

/// Takes a client's frames apart.
#[derive(Debug)]
pub struct Frames {
    /// Most octets of a message.
    limit: usize,
    /// The head of the next frame, as far as it has come: at most 14 octets.
    head: Vec<u8>,
    frame: Option<Frame>,
    /// The message that is under way, and of how many frames it is so far.
    message: Vec<u8>,
    frames: u32,
    control: Vec<u8>,
}

/// A frame whose payload is being read.
#[derive(Clone, Copy, Debug)]
struct Frame {
    opcode: Opcode,
    is_last: bool,
    left: usize,
    mask: [u8; 4],
    /// Which octet of the mask is next.
    turn: usize,
}

impl Frames {
    /// For messages of at most `limit` octets.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            head: Vec::new(),
            frame: None,
            message: Vec::new(),
            frames: 0,
            control: Vec::new(),
        }
    }

    /// Sets another limit, from the next frame on.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes what came, cut anywhere, up to the end of the next message or control frame; none where all is
    /// taken and nothing is complete.
    ///
    /// # Errors
    /// What the connection must be failed with. Nothing may be fed afterwards.
    pub fn feed(&mut self, input: &mut &[u8]) -> Result<Option<Incoming>, Fault> {
        loop {
            let mut frame = match self.frame.take() {
                Some(frame) => frame,
                None => match self.read_head(input)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let (taken, rest) = input.split_at(frame.left.min(input.len()));
            *input = rest;
            let into =
                if frame.opcode.is_control() { &mut self.control } else { &mut self.message };
            into.extend(taken.iter().enumerate().map(|(at, octet)| {
                octet ^ frame.mask.get((frame.turn + at) % 4).copied().unwrap_or_default()
            }));
            frame.turn = (frame.turn + taken.len()) % 4;
            frame.left -= taken.len();
            if frame.left > 0 {
                self.frame = Some(frame);
                return Ok(None);
            }
            if let Some(incoming) = self.finish(frame)? {
                return Ok(Some(incoming));
            }
        }
    }

    /// Reads the head of a frame; none where it has not all come.
    fn read_head(&mut self, input: &mut &[u8]) -> Result<Option<Frame>, Fault> {
        loop {
            let wanted = match self.head.get(1) {
                None => 2,
                Some(second) => 2 + length_octets(*second) + 4,
            };
            if self.head.len() == wanted {
                let frame = self.judge();
                self.head.clear();
                return frame.map(Some);
            }
            let Some((octet, rest)) = input.split_first() else { return Ok(None) };
            self.head.push(*octet);
            *input = rest;
            self.judge_early()?;
        }
    }

    /// The first two octets alone show most of what can be wrong.
    fn judge_early(&self) -> Result<(), Fault> {
        let [first, second] = self.head[..] else { return Ok(()) };
        let opcode = Opcode::read(first)?;
        // No extension is negotiated that could use the reserved bits; clients always mask (RFC 6455 §5.1).
        let is_broken = first & RESERVED != 0 || second & MASKED == 0;
        let is_whole = first & FIN != 0 && usize::from(second & !MASKED) <= CONTROL_MAX;
        let is_under_way = self.frames > 0;
        match opcode {
            _ if is_broken => Err(Fault::Protocol),
            Opcode::Continuation if !is_under_way => Err(Fault::Protocol),
            Opcode::Text if is_under_way => Err(Fault::Protocol),
            Opcode::Close | Opcode::Ping | Opcode::Pong if !is_whole => Err(Fault::Protocol),
            _ => Ok(()),
        }
    }

    /// The head is complete.
    fn judge(&mut self) -> Result<Frame, Fault> {
        let (&[first, second], rest) = self.head.split_first_chunk().ok_or(Fault::Protocol)?;
        let (length, mask) = rest.split_last_chunk::<4>().ok_or(Fault::Protocol)?;
        let length = match length {
            [] => u64::from(second & !MASKED),
            length => {
                let number = length.iter().fold(0, |sum, octet| sum << 8 | u64::from(*octet));
                // The shortest form must be used, and the highest bit must not (RFC 6455 §5.2).
                let least = if length.len() == 2 { 126 } else { 65_536 };
                if number < least || number > u64::MAX >> 1 {
                    return Err(Fault::Protocol);
                }
                number
            }
        };
        let opcode = Opcode::read(first)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if !opcode.is_control() {
            self.frames += 1;
            if length > self.limit.saturating_sub(self.message.len()) || self.frames > FRAMES_MAX {
                return Err(Fault::TooLarge);
            }
        }
        Ok(Frame { opcode, is_last: first & FIN != 0, left: length, mask: *mask, turn: 0 })
    }

    fn finish(&mut self, frame: Frame) -> Result<Option<Incoming>, Fault> {
        let control = match frame.opcode {
            Opcode::Continuation | Opcode::Text if !frame.is_last => return Ok(None),
            Opcode::Continuation | Opcode::Text => {
                self.frames = 0;
                let message = std::mem::take(&mut self.message);
                str::from_utf8(&message).map_err(|_| Fault::NotUtf8)?;
                return Ok(Some(Incoming::Message(message)));
            }
            _ => std::mem::take(&mut self.control),
        };
        match frame.opcode {
            Opcode::Ping => Ok(Some(Incoming::Ping(control))),
            Opcode::Close => judge_close(&control).map(|()| Some(Incoming::Close)),
            _ => Ok(Some(Incoming::Pong)),
        }
    }
}

impl Opcode {
    fn read(first: u8) -> Result<Self, Fault> {
        match first & 0xF {
            0 => Ok(Self::Continuation),
            1 => Ok(Self::Text),
            2 => Err(Fault::NotText),
            8 => Ok(Self::Close),
            9 => Ok(Self::Ping),
            10 => Ok(Self::Pong),
            _ => Err(Fault::Protocol),
        }
    }

    fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// How many octets of length follow the second octet of a head.
fn length_octets(second: u8) -> usize {
    match second & !MASKED {
        126 => 2,
        127 => 8,
        _ => 0,
    }
}

/// A closing frame may be empty, or has a code that a peer may use, and then text (RFC 6455 §5.5.1, §7.4).
fn judge_close(payload: &[u8]) -> Result<(), Fault> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return if payload.is_empty() { Ok(()) } else { Err(Fault::Protocol) };
    };
    match u16::from_be_bytes(*code) {
        1000..=1003 | 1007..=1014 | 3000..=4999 => {}
        _ => return Err(Fault::Protocol),
    }
    str::from_utf8(reason).map(|_| ()).map_err(|_| Fault::NotUtf8)
}

/// Makes a text message of what stands in `out` from `start` on.
pub fn seal(out: &mut Vec<u8>, start: usize) {
    let length = out.len().saturating_sub(start);
    let mut head = [FIN | 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let used = match u16::try_from(length) {
        Ok(length) if length < 126 => {
            head[1] = length.to_be_bytes()[1];
            2
        }
        Ok(length) => {
            head[1] = 126;
            head[2..4].copy_from_slice(&length.to_be_bytes());
            4
        }
        Err(_) => {
            head[1] = 127;
            head[2..].copy_from_slice(&(length as u64).to_be_bytes());
            10
        }
    };
    out.splice(start..start, head[..used].iter().copied());
}

/// Appends a ping without payload.
pub fn ping(out: &mut Vec<u8>) {
    out.extend_from_slice(&[FIN | 9, 0]);
}

/// Appends the answer to a ping.
pub fn pong(out: &mut Vec<u8>, payload: &[u8]) {
    // A payload of a ping is short enough, or it was refused.
    let payload = payload.get(..CONTROL_MAX).unwrap_or(payload);
    out.extend_from_slice(&[FIN | 10, payload.len().to_le_bytes()[0]]);
    out.extend_from_slice(payload);
}

/// Appends a closing frame. Nothing may be sent behind it.
pub fn close(out: &mut Vec<u8>, code: u16) {
    out.extend_from_slice(&[FIN | 8, 2]);
    out.extend_from_slice(&code.to_be_bytes());
}
