//! Owns affiliations and what each allows (XEP-0060 §4.1).

/// How somebody stands to a node. The order is that of the table of §4.1 turned round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are those of XEP-0060 table 1")]
pub enum Affiliation {
    Outcast,
    #[default]
    None,
    Member,
    PublishOnly,
    Publisher,
    Owner,
}

impl Affiliation {
    const ALL: [Self; 6] =
        [Self::Outcast, Self::None, Self::Member, Self::PublishOnly, Self::Publisher, Self::Owner];

    /// The word of the attribute.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcast => "outcast",
            Self::None => "none",
            Self::Member => "member",
            Self::PublishOnly => "publish-only",
            Self::Publisher => "publisher",
            Self::Owner => "owner",
        }
    }

    /// Of this word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == word)
    }

    /// Whether they may read and subscribe, whatever the access model says; none: the model decides.
    #[must_use]
    pub fn may_read(self) -> Option<bool> {
        match self {
            Self::Outcast | Self::PublishOnly => Some(false),
            Self::None => None,
            Self::Member | Self::Publisher | Self::Owner => Some(true),
        }
    }

    /// Whether they may publish, whatever the publish model says; none: the model decides.
    #[must_use]
    pub fn may_publish(self) -> Option<bool> {
        match self {
            Self::Outcast => Some(false),
            Self::None | Self::Member => None,
            Self::PublishOnly | Self::Publisher | Self::Owner => Some(true),
        }
    }

    /// Whether they may take away what others have published (table 1, note).
    #[must_use]
    pub fn may_remove_all(self) -> bool {
        self >= Self::Publisher
    }
}
