//! Owns the bytes of a `message/cpim` object (RFC 3862 §2, §3): headers of the message, headers of what is inside, and
//! that. Lines end with CRLF; a bare LF is taken too.

use crate::CpimError;

/// Headers of one object that are looked at; with more it is refused.
const HEADERS_MAX: usize = 256;

/// No stanza can carry it.
const NOT_XML: CpimError = CpimError::Malformed("it has characters that XML cannot have");

/// A header of the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    /// The language that it is in.
    pub(crate) lang: Option<String>,
    /// Escapes are resolved.
    pub(crate) value: String,
}

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Object {
    pub(crate) headers: Vec<Header>,
    /// The MIME headers of what is inside: names in small letters.
    pub(crate) inner: Vec<(String, String)>,
    pub(crate) content: Vec<u8>,
}

impl Object {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut out = String::new();
        for Header { name, lang, value } in &self.headers {
            // What is no tag of a language could be anything, another header too.
            let lang = lang.as_ref().filter(|lang| is_language(lang));
            let lang = lang.map(|lang| format!(";lang={lang}")).unwrap_or_default();
            out.push_str(&format!("{name}:{lang} {}\r\n", escaped(value)));
        }
        out.push_str("\r\n");
        for (name, value) in &self.inner {
            out.push_str(&format!("{name}: {value}\r\n"));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(&self.content);
        out
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, CpimError> {
        let (mut block, mut rest) = block(bytes)?;
        // What carries it may have left its own headers before it.
        if block.first().is_some_and(|line| line.to_ascii_lowercase().starts_with("content-type:"))
        {
            (block, rest) = self::block(rest)?;
        }
        let headers = block.iter().map(|line| header(line)).collect::<Result<Vec<_>, _>>()?;
        let (inner, content) = self::block(rest)?;
        let inner = inner.iter().map(|line| mime(line)).collect::<Result<Vec<_>, _>>()?;
        let langs = headers.iter().filter_map(|header| header.lang.as_deref());
        let values = headers.iter().map(|header| header.value.as_str());
        let inside = inner.iter().map(|(_, value)| value.as_str());
        if !langs.chain(values).chain(inside).all(is_xml) {
            return Err(NOT_XML);
        }
        Ok(Self { headers, inner, content: content.to_vec() })
    }

    /// Names of headers are told apart by case too (RFC 3862 §3.1).
    pub(crate) fn header(&self, name: &str) -> Option<&Header> {
        self.headers.iter().find(|header| header.name == name)
    }

    /// The type of what is inside, in small letters and without parameters (RFC 2045 §5.2).
    pub(crate) fn content_type(&self) -> String {
        let value = self.inner("content-type").unwrap_or("text/plain");
        value.split(';').next().unwrap_or(value).trim().to_ascii_lowercase()
    }

    /// What is inside, as text. Where nothing is said of its characters, plain text is us-ascii (RFC 2046 §4.1.2), and a
    /// document of XML says it itself (RFC 7303 §3.2).
    pub(crate) fn text(&self) -> Result<&str, CpimError> {
        let value = self.inner("content-type").unwrap_or_default().to_ascii_lowercase();
        let charset = value.split(';').filter_map(|it| it.trim().strip_prefix("charset=")).next();
        let charset = charset.map(|it| it.trim_matches('"'));
        let text = str::from_utf8(&self.content).map_err(|_| CpimError::Charset)?;
        if !is_xml(text) {
            return Err(NOT_XML);
        }
        let charset = match charset {
            Some(charset) => charset,
            None if self.content_type().ends_with("+xml") => {
                declaration(text).0.and_then(encoding).unwrap_or("utf-8")
            }
            None => "us-ascii",
        };
        match charset {
            it if it.eq_ignore_ascii_case("utf-8") => Ok(text),
            it if it.eq_ignore_ascii_case("us-ascii") && text.is_ascii() => Ok(text),
            _ => Err(CpimError::Charset),
        }
    }

    /// The id of what is inside, without its brackets.
    pub(crate) fn content_id(&self) -> Option<&str> {
        let id = self.inner("content-id")?.trim();
        id.strip_prefix('<')?.strip_suffix('>').filter(|id| !id.is_empty())
    }

    fn inner(&self, name: &str) -> Option<&str> {
        self.inner.iter().find(|(it, _)| it == name).map(|(_, value)| value.as_str())
    }
}

/// The URI of an address header: what stands in brackets behind the name, if there is one (RFC 3862 §4.1).
pub(crate) fn uri(header: &Header) -> Option<&str> {
    let (_, uri) = header.value.rsplit_once('<')?;
    uri.strip_suffix('>')
}

/// What stands in the XML declaration that a document begins with, if it does, and what is behind it (XML 1.0 §2.8).
pub(crate) fn declaration(text: &str) -> (Option<&str>, &str) {
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let declared = text.strip_prefix("<?xml").and_then(|rest| rest.split_once("?>"));
    declared.map_or((None, text), |(declaration, rest)| (Some(declaration), rest))
}

/// The encoding that a declaration names (XML 1.0 §4.3.3).
fn encoding(declaration: &str) -> Option<&str> {
    let (_, rest) = declaration.split_once("encoding")?;
    let rest = rest.trim_start().strip_prefix('=')?.trim_start();
    let quote = rest.chars().next().filter(|it| matches!(it, '"' | '\''))?;
    rest.strip_prefix(quote)?.split_once(quote).map(|(name, _)| name)
}

/// The lines up to an empty one, unfolded, and what is behind it.
fn block(bytes: &[u8]) -> Result<(Vec<String>, &[u8]), CpimError> {
    let (mut lines, mut rest) = (Vec::<String>::new(), bytes);
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n');
        let Some((line, behind)) =
            end.and_then(|end| Some((rest.get(..end)?, rest.get(end + 1..)?)))
        else {
            return Err(CpimError::Malformed("its headers do not end"));
        };
        rest = behind;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line =
            str::from_utf8(line).map_err(|_| CpimError::Malformed("a header is not UTF-8"))?;
        if line.is_empty() {
            return Ok((lines, rest));
        }
        match lines.last_mut().filter(|_| line.starts_with([' ', '\t'])) {
            Some(last) => {
                last.push(' ');
                last.push_str(line.trim_start());
            }
            None => lines.push(line.to_owned()),
        }
        if lines.len() > HEADERS_MAX {
            return Err(CpimError::Malformed("it has too many headers"));
        }
    }
}

/// A name, parameters, a space and a value (RFC 3862 §3.1).
fn header(line: &str) -> Result<Header, CpimError> {
    let wrong = CpimError::Malformed("a header has no name");
    let (name, rest) = line.split_once(':').ok_or(wrong)?;
    let (parameters, value) = match rest.strip_prefix(';') {
        Some(rest) => rest.split_once(' ').unwrap_or((rest, "")),
        None => ("", rest.strip_prefix(' ').unwrap_or(rest)),
    };
    let lang = parameters.split(';').find_map(|it| it.strip_prefix("lang="));
    let value = unescaped(value).ok_or(CpimError::Malformed("an escape is none"))?;
    Ok(Header { name: name.trim().to_owned(), lang: lang.map(str::to_owned), value })
}

fn mime(line: &str) -> Result<(String, String), CpimError> {
    let (name, value) = line.split_once(':').ok_or(CpimError::Malformed("a header has no name"))?;
    Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
}

/// A tag of RFC 5646, as far as its characters go.
fn is_language(text: &str) -> bool {
    let is_subtag = |it: &str| {
        (1..=8).contains(&it.len()) && it.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    text.split('-').all(is_subtag)
}

/// Whether all of it may stand in a document (XML 1.0 §2.2).
fn is_xml(text: &str) -> bool {
    text.chars().all(|c| match c {
        '\t' | '\n' | '\r' => true,
        '\u{fffe}' | '\u{ffff}' => false,
        c => c >= ' ',
    })
}

/// RFC 3862 §3.2: what a header cannot hold, and the backslash.
fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn unescaped(value: &str) -> Option<String> {
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.push(c);
            continue;
        }
        out.push(match chars.next()? {
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'b' => '\u{8}',
            'u' => code(&mut chars, 4)?,
            'U' => code(&mut chars, 8)?,
            c @ ('\\' | '"' | '\'') => c,
            _ => return None,
        });
    }
    Some(out)
}

fn code(chars: &mut std::str::Chars<'_>, digits: usize) -> Option<char> {
    let mut code = 0_u32;
    for _ in 0..digits {
        code = code.checked_mul(16)?.checked_add(chars.next()?.to_digit(16)?)?;
    }
    char::from_u32(code)
}
