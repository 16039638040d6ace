//! Owns the reading of a file of XEP-0227, piece by piece: no more of it is in memory than one child of a `<user/>`,
//! or one message of its archive. Files that it includes (§5) are read where they stand.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use rxml::{Event, Options, Parse, Parser, WithOptions};
use user::portable::{ARCHIVE, PIE};
use xmpp::{Element, ns};

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// A `<user/>` begins.
    User {
        /// The host that it belongs to.
        host: String,
        /// Its name.
        name: String,
        /// Its password, where the file says that.
        password: Option<String>,
    },
    /// A child of it, or a child of its archive.
    Child(Element),
    /// It ends.
    End,
    /// Something that is not known here.
    Unknown(String),
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is not there, or breaks off.
    #[error("cannot read {}: {cause}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is no XML, or not of this format.
    #[error("{}: {what}", path.display())]
    Shape {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
}

const INCLUDE: &str = "http://www.w3.org/2001/XInclude";
/// Files that include each other end somewhere.
const INCLUDED_MOST: usize = 4;
const CHUNK: usize = 64 << 10;
/// Deeper is no data of anybody.
const DEPTH_MOST: usize = 100;

/// Where the reading is.
struct Place {
    host: String,
    /// How many files are open.
    files: usize,
}

/// Reads all of a file; every piece goes to `take`.
///
/// # Errors
/// It cannot be read, or `take` wants no more.
pub(crate) fn read<E: From<ReadError>>(
    path: &Path,
    take: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let mut place = Place { host: String::new(), files: 0 };
    file(path, &mut place, 0, take)
}

/// As [`read`], out of memory; nothing can be included.
///
/// # Errors
/// As there.
pub(crate) fn read_bytes<E: From<ReadError>>(
    bytes: &[u8],
    take: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let mut place = Place { host: String::new(), files: INCLUDED_MOST };
    walk(bytes, Path::new("the request"), &mut place, 0, take)
}

fn file<E: From<ReadError>>(
    path: &Path,
    place: &mut Place,
    level: usize,
    take: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |cause| ReadError::File { path: path.to_owned(), cause };
    let opened = File::open(path).map_err(failed)?;
    place.files += 1;
    walk(BufReader::new(opened), path, place, level, take)?;
    place.files -= 1;
    Ok(())
}

/// `level` is that of the root: an included file may begin with a host, a user or a child of one.
fn walk<E: From<ReadError>>(
    mut from: impl Read,
    path: &Path,
    place: &mut Place,
    level: usize,
    take: &mut impl FnMut(Piece) -> Result<(), E>,
) -> Result<(), E> {
    let mut parser = Parser::with_options(Options {
        max_token_length: xmpp::element::MAX_ATTRIBUTE_BYTES,
        ..Options::default()
    });
    let mut walker = Walker { path, level, open: Vec::new(), tree: Vec::new(), skips: 0 };
    let mut chunk = vec![0; CHUNK];
    loop {
        let count = from
            .read(&mut chunk)
            .map_err(|cause| ReadError::File { path: path.to_owned(), cause })?;
        let (mut rest, last) = (chunk.get(..count).unwrap_or_default(), count == 0);
        loop {
            match parser.parse(&mut rest, last) {
                Ok(Some(event)) => walker.take(event, place, take)?,
                Ok(None) => break,
                Err(rxml::error::EndOrError::NeedMoreData) => break,
                Err(rxml::error::EndOrError::Error(error)) => {
                    return Err(walker.wrong(&error.to_string()).into());
                }
            }
        }
        if last {
            return match walker.open.is_empty() {
                true => Ok(()),
                false => Err(walker.wrong("the file breaks off").into()),
            };
        }
    }
}

/// What is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Open {
    Data,
    Host,
    User,
    Archive,
}

struct Walker<'a> {
    path: &'a Path,
    level: usize,
    open: Vec<Open>,
    /// The element that is being read, with those around it.
    tree: Vec<Element>,
    /// How deep it is in something that is passed over.
    skips: usize,
}

impl Walker<'_> {
    fn wrong(&self, what: &str) -> ReadError {
        ReadError::Shape { path: self.path.to_owned(), what: what.to_owned() }
    }

    fn take<E: From<ReadError>>(
        &mut self,
        event: Event,
        place: &mut Place,
        take: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        match event {
            Event::XmlDeclaration(..) => Ok(()),
            Event::Text(_, text) => {
                if let Some(top) = self.tree.pop() {
                    self.tree.push(top.with_text(text));
                }
                Ok(())
            }
            Event::StartElement(_, (namespace, name), attributes) => {
                let namespace = match namespace.as_str() {
                    "" => ns::NONE.to_owned(),
                    other => other.to_owned(),
                };
                let mut element = Element::new(name.to_string(), namespace);
                for ((ns, name), value) in attributes {
                    element = element.with_attr_ns(name.to_string(), ns.as_str().to_owned(), value);
                }
                self.begin(element, place, take)
            }
            Event::EndElement(_) => self.end(place, take),
        }
    }

    fn begin<E: From<ReadError>>(
        &mut self,
        element: Element,
        place: &mut Place,
        take: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.tree.len() > DEPTH_MOST {
            return Err(self.wrong("elements stand too deep in each other").into());
        }
        if self.skips > 0 || !self.tree.is_empty() {
            if self.skips > 0 {
                self.skips += 1;
            } else {
                self.tree.push(element);
            }
            return Ok(());
        }
        let level = self.level + self.open.len();
        match (level, element.name(), element.ns()) {
            (0, "server-data", PIE) => self.open.push(Open::Data),
            (0, ..) => return Err(self.wrong("this is no file of XEP-0227").into()),
            (1, "host", PIE) => {
                place.host = element.attr("jid").unwrap_or_default().to_owned();
                self.open.push(Open::Host);
            }
            (2, "user", PIE) => {
                let (host, attr) =
                    (place.host.clone(), |name| element.attr(name).map(str::to_owned));
                let name = attr("name").unwrap_or_default();
                take(Piece::User { host, name, password: attr("password") })?;
                self.open.push(Open::User);
            }
            (3, "archive", ARCHIVE) => self.open.push(Open::Archive),
            // What an included user file stands in is gone again: it is read as what it is.
            (_, "include", INCLUDE) if level <= 3 => {
                self.include(&element, place, take)?;
                self.skips = 1;
            }
            (3 | 4, ..) => self.tree.push(element),
            (_, name, ns) => {
                take(Piece::Unknown(format!("<{name} xmlns='{ns}'>")))?;
                self.skips = 1;
            }
        }
        Ok(())
    }

    fn end<E: From<ReadError>>(
        &mut self,
        _: &Place,
        take: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.skips > 0 {
            self.skips -= 1;
            return Ok(());
        }
        let Some(done) = self.tree.pop() else {
            return match self.open.pop() {
                Some(Open::User) => take(Piece::End),
                _ => Ok(()),
            };
        };
        match self.tree.last_mut() {
            Some(parent) => {
                parent.push(done);
                Ok(())
            }
            None => take(Piece::Child(done)),
        }
    }

    /// §5: a relative address, beneath the directory of the file that includes it.
    fn include<E: From<ReadError>>(
        &self,
        include: &Element,
        place: &mut Place,
        take: &mut impl FnMut(Piece) -> Result<(), E>,
    ) -> Result<(), E> {
        let href = include.attr("href").unwrap_or_default();
        let plain = include.attr("parse").is_none() && include.attr("xpointer").is_none();
        let parts = Path::new(href).components();
        let is_beneath = parts.into_iter().all(|it| matches!(it, std::path::Component::Normal(_)));
        if !plain || href.is_empty() || !is_beneath || href.contains(':') {
            return take(Piece::Unknown(format!("<include href='{href}'>")));
        }
        if place.files >= INCLUDED_MOST {
            return Err(self.wrong("files include each other without end").into());
        }
        let path = self.path.with_file_name(href);
        file(&path, place, self.level + self.open.len(), take)
    }
}

#[cfg(test)]
mod tests;
