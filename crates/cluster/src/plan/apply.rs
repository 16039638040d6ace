//! Owns what each change does to the plan. Checks first, changes then: a refused entry leaves no trace but
//! its index, and the answer is the same on every member.

use std::collections::{BTreeMap, BTreeSet};

use proto::MemberId;
use xmpp::{Epoch, Shard};

use super::entry::{Applied, Assignment, Bootstrap, Entry, MoveId, Refusal};
use super::member::{Member, MemberInfo, Roles, Status};
use super::placement::spread;
use super::{ClusterUuid, Ownership, Phase, Plan};

impl Plan {
    /// The most members, expelled ones included.
    pub const MAX_MEMBERS: usize = 1024;

    /// The most expelled members that are remembered.
    const MAX_EXPELLED: usize = 256;

    /// Applies the entry at `index` of the log. Entries come in order, each once.
    ///
    /// # Errors
    ///
    /// The entry is refused; the plan is as before, but for its index.
    pub fn apply(&mut self, index: u64, entry: Entry) -> Applied {
        debug_assert!(index > self.index, "entry {index} comes again");
        self.index = index;
        match (&entry, self.is_bootstrapped()) {
            (Entry::Bootstrap(_), true) => return Err(Refusal::AlreadyBootstrapped),
            (Entry::Bootstrap(_), false) | (_, true) => {}
            (_, false) => return Err(Refusal::NotBootstrapped),
        }
        match entry {
            Entry::Bootstrap(bootstrap) => self.bootstrap(bootstrap),
            Entry::Join(info) => self.join(info),
            Entry::Up(info) => self.up(info),
            Entry::Drain(member) => self.drain(member),
            Entry::Restore(member) => self.restore(member),
            Entry::Expel { member, incarnation, heirs } => self.expel(member, incarnation, &heirs),
            Entry::Prepare(moves) => self.prepare(&moves),
            Entry::Release(moves) => self.release(&moves),
            Entry::Abort(moves) => self.abort(&moves),
            Entry::SetStandby(standbys) => self.set_standby(&standbys),
            Entry::SetWeight { member, weight } => self.set_weight(member, weight),
            Entry::SetFeature(level) => self.set_feature(level),
            Entry::Forget(member) => self.forget(member),
        }
    }

    /// Notes an entry that changes nothing, such as a leader's first.
    pub fn skip(&mut self, index: u64) {
        self.index = index;
    }

    fn bootstrap(&mut self, first: Bootstrap) -> Applied {
        let Bootstrap { cluster, generation, hash_key, feature_level, members } = first;
        let members = self.first_members(members, feature_level)?;
        if cluster == ClusterUuid::default() || generation == 0 {
            return Err(Refusal::BadBootstrap);
        }
        let homes = members.values().filter(|member| member.can_own());
        let weights = homes.map(|member| (member.info.id, member.info.weight));
        let owners = spread(weights).ok_or(Refusal::NoHome)?;
        let epoch = Epoch::first(generation).next();
        self.shards = owners.into_iter().map(|o| Ownership::new(o, epoch)).collect();
        self.cluster = cluster;
        self.generation = generation;
        self.hash_key = hash_key;
        self.feature_level = feature_level;
        self.members = members;
        Ok(())
    }

    fn first_members(
        &self,
        infos: Vec<MemberInfo>,
        level: u32,
    ) -> Result<BTreeMap<MemberId, Member>, Refusal> {
        let names: BTreeSet<_> = infos.iter().map(|info| info.name.clone()).collect();
        let count = infos.len();
        let mut members = BTreeMap::new();
        for info in infos {
            check_info(&info, level)?;
            members.insert(info.id, self.new_member(info, Status::Up));
        }
        let once_each = members.len() == count && names.len() == count;
        if !can_share(members.values().map(|member| &member.info)) {
            return Err(Refusal::PrivateStore);
        }
        let sound = once_each && (1..=Self::MAX_MEMBERS).contains(&count);
        sound.then_some(members).ok_or(Refusal::BadBootstrap)
    }

    fn join(&mut self, info: MemberInfo) -> Applied {
        let id = info.id;
        check_info(&info, self.feature_level)?;
        self.check_name(&info)?;
        self.check_store(&info)?;
        match self.members.get(&id) {
            Some(known) if known.status != Status::Expelled && known.info == info => return Ok(()),
            Some(known)
                if known.status != Status::Expelled
                    || known.info.incarnation >= info.incarnation =>
            {
                return Err(stale(known));
            }
            Some(_) => {}
            None if self.members.len() >= Self::MAX_MEMBERS => return Err(Refusal::ClusterFull),
            None => {}
        }
        // A new id of one name replaces the old, which check_name found to be expelled.
        self.members.retain(|other, known| *other == id || known.info.name != info.name);
        let member = self.new_member(info, Status::Joining);
        self.members.insert(id, member);
        Ok(())
    }

    fn up(&mut self, info: MemberInfo) -> Applied {
        let id = info.id;
        check_info(&info, self.feature_level)?;
        self.check_name(&info)?;
        self.check_store(&info)?;
        let index = self.index;
        let member = self.present(id)?;
        let first = member.status == Status::Joining;
        let known = member.info.incarnation;
        if info.incarnation < known || (info.incarnation == known && !first) {
            return Err(stale(member));
        }
        member.info = info;
        member.status = Status::Up;
        member.shards_changed = index;
        for held in &mut self.shards {
            held.forget_move_to(id);
            if held.owner == id {
                held.give(id);
            }
        }
        Ok(())
    }

    fn drain(&mut self, id: MemberId) -> Applied {
        let member = self.present(id)?;
        if member.status == Status::Joining {
            return Err(Refusal::UnknownMember(id));
        }
        let takes = member.takes_shards();
        if takes && !self.members.values().any(|other| other.info.id != id && other.takes_shards())
        {
            return Err(Refusal::LastHome(id));
        }
        self.present(id)?.status = Status::Draining;
        Ok(())
    }

    fn restore(&mut self, id: MemberId) -> Applied {
        let member = self.present(id)?;
        if member.status == Status::Joining {
            return Err(Refusal::UnknownMember(id));
        }
        member.status = Status::Up;
        Ok(())
    }

    fn expel(&mut self, id: MemberId, incarnation: u64, heirs: &[Assignment]) -> Applied {
        let member = self.present(id)?;
        if member.info.incarnation != incarnation {
            return Err(stale(member));
        }
        self.check_heirs(id, heirs)?;
        for held in &mut self.shards {
            held.forget_move_to(id);
            held.standby = held.standby.filter(|standby| *standby != id);
        }
        for heir in heirs {
            self.hand_over(heir.shard, heir.member);
        }
        let index = self.index;
        let member = self.present(id)?;
        member.status = Status::Expelled;
        member.shards_changed = index;
        self.forget_expelled();
        Ok(())
    }

    fn check_heirs(&self, id: MemberId, heirs: &[Assignment]) -> Applied {
        let owned = self.ownerships().filter(|(_, held)| held.owner == id);
        let owned: BTreeSet<_> = owned.map(|(shard, _)| shard).collect();
        let given: BTreeSet<_> = heirs.iter().map(|heir| heir.shard).collect();
        if given != owned || given.len() != heirs.len() {
            return Err(Refusal::BadHeirs(id));
        }
        let able =
            |heir: MemberId| heir != id && self.members.get(&heir).is_some_and(Member::can_own);
        match heirs.iter().find(|heir| !able(heir.member)) {
            Some(&Assignment { shard, member }) => Err(Refusal::BadTarget { shard, member }),
            None => Ok(()),
        }
    }

    fn prepare(&mut self, moves: &[Assignment]) -> Applied {
        for (at, &Assignment { shard, member }) in moves.iter().enumerate() {
            let held = self.held(shard)?;
            let able = self.members.get(&member).is_some_and(Member::takes_shards);
            if held.owner == member || !able {
                return Err(Refusal::BadTarget { shard, member });
            }
            let twice = moves.iter().take(at).any(|other| other.shard == shard);
            if twice || held.phase != Phase::Active {
                return Err(Refusal::Moving(shard));
            }
        }
        let since = self.index;
        for &Assignment { shard, member } in moves {
            self.change(shard, |held| held.phase = Phase::Moving { to: member, since });
        }
        Ok(())
    }

    fn release(&mut self, moves: &[MoveId]) -> Applied {
        let targets = self.check_moves(moves)?;
        for (&MoveId { shard, .. }, to) in moves.iter().zip(targets) {
            let before = *self.held(shard)?;
            self.hand_over(shard, to);
            if before.standby == Some(to) {
                // Until another one is named, the former owner is the only one that has what there is.
                self.change(shard, |held| held.standby = Some(before.owner));
            }
        }
        Ok(())
    }

    fn abort(&mut self, moves: &[MoveId]) -> Applied {
        self.check_moves(moves)?;
        for &MoveId { shard, .. } in moves {
            self.change(shard, |held| held.phase = Phase::Active);
        }
        Ok(())
    }

    /// The targets of these moves, if all are under way and named once.
    fn check_moves(&self, moves: &[MoveId]) -> Result<Vec<MemberId>, Refusal> {
        let mut seen = BTreeSet::new();
        let mut targets = Vec::with_capacity(moves.len());
        for &MoveId { shard, since } in moves {
            match self.held(shard)?.phase {
                Phase::Moving { to, since: at } if at == since && seen.insert(shard) => {
                    targets.push(to);
                }
                _ => return Err(Refusal::NotMoving(shard)),
            }
        }
        Ok(targets)
    }

    fn set_standby(&mut self, standbys: &[(Shard, Option<MemberId>)]) -> Applied {
        for &(shard, standby) in standbys {
            let owner = self.held(shard)?.owner;
            let Some(member) = standby else { continue };
            let able = self.members.get(&member).is_some_and(Member::takes_shards);
            if owner == member || !able {
                return Err(Refusal::BadTarget { shard, member });
            }
        }
        for &(shard, standby) in standbys {
            self.change(shard, |held| held.standby = standby);
        }
        Ok(())
    }

    fn set_weight(&mut self, id: MemberId, weight: u32) -> Applied {
        self.present(id)?.info.weight = weight;
        Ok(())
    }

    fn set_feature(&mut self, level: u32) -> Applied {
        let mut present = self.members.values().filter(|m| m.status != Status::Expelled);
        if level <= self.feature_level || !present.all(|member| member.info.knows(level)) {
            return Err(Refusal::BadFeatureLevel(level));
        }
        self.feature_level = level;
        Ok(())
    }

    /// Makes `to` the owner and notes for both members that their shards changed.
    fn hand_over(&mut self, shard: Shard, to: MemberId) {
        let index = self.index;
        let from = self.ownership(shard).map(|held| held.owner);
        self.change(shard, |held| held.give(to));
        for id in from.into_iter().chain([to]) {
            if let Some(member) = self.members.get_mut(&id) {
                member.shards_changed = index;
            }
        }
    }

    fn change(&mut self, shard: Shard, change: impl FnOnce(&mut Ownership)) {
        if let Some(held) = self.shards.get_mut(usize::from(shard.number())) {
            change(held);
        }
    }

    fn held(&self, shard: Shard) -> Result<&Ownership, Refusal> {
        self.ownership(shard).ok_or(Refusal::NotBootstrapped)
    }

    fn present(&mut self, id: MemberId) -> Result<&mut Member, Refusal> {
        self.members
            .get_mut(&id)
            .filter(|member| member.status != Status::Expelled)
            .ok_or(Refusal::UnknownMember(id))
    }

    fn new_member(&self, info: MemberInfo, status: Status) -> Member {
        Member { info, status, shards_changed: self.index }
    }

    fn check_name(&self, info: &MemberInfo) -> Applied {
        let mut others = self.members.values().filter(|member| member.info.id != info.id);
        // Who has only asked to be let in has nothing to lose: the name's owner has come with another disk.
        let has = |m: &Member| matches!(m.status, Status::Up | Status::Draining);
        let taken = others.any(|m| m.info.name == info.name && has(m));
        if taken {
            return Err(Refusal::NameTaken(info.id));
        }
        Ok(())
    }

    /// Whoever owns shards must be able to take over whatever another owned.
    fn check_store(&self, info: &MemberInfo) -> Applied {
        let others = self.members.values().filter(|member| {
            member.info.id != info.id
                && member.info.name != info.name
                && member.status != Status::Expelled
        });
        match can_share(others.map(|member| &member.info).chain([info])) {
            true => Ok(()),
            false => Err(Refusal::PrivateStore),
        }
    }

    fn forget(&mut self, id: MemberId) -> Applied {
        let member = self.members.get(&id).ok_or(Refusal::UnknownMember(id))?;
        if matches!(member.status, Status::Up | Status::Draining) {
            return Err(Refusal::TakesPart(id));
        }
        self.members.remove(&id);
        Ok(())
    }

    /// Forgets the longest expelled where there are too many: an unknown member is refused like an expelled one.
    fn forget_expelled(&mut self) {
        let expelled = self.members.values().filter(|m| m.status == Status::Expelled);
        let mut expelled: Vec<_> = expelled.map(|m| (m.shards_changed, m.info.id)).collect();
        expelled.sort_unstable();
        let surplus = expelled.len().saturating_sub(Self::MAX_EXPELLED);
        for (_, id) in expelled.into_iter().take(surplus) {
            self.members.remove(&id);
        }
    }
}

impl Ownership {
    fn new(owner: MemberId, epoch: Epoch) -> Self {
        Self { owner, standby: None, epoch, phase: Phase::Active }
    }

    /// A new term of ownership: every change of the owner or of its process passes here.
    fn give(&mut self, owner: MemberId) {
        self.owner = owner;
        self.epoch = self.epoch.next();
        self.phase = Phase::Active;
        self.standby = self.standby.filter(|standby| *standby != owner);
    }

    /// Calls off a move to a member that has lost what it was sent.
    fn forget_move_to(&mut self, id: MemberId) {
        if matches!(self.phase, Phase::Moving { to, .. } if to == id) {
            self.phase = Phase::Active;
        }
    }
}

fn check_info(info: &MemberInfo, level: u32) -> Applied {
    let texts = [&info.name, &info.addr, &info.zone];
    if info.name.is_empty() || texts.iter().any(|text| text.len() > MemberInfo::MAX_TEXT) {
        return Err(Refusal::BadInfo(info.id));
    }
    if !info.knows(level) {
        return Err(Refusal::FeatureLevel(info.id));
    }
    Ok(())
}

/// Whether these members can own shards together.
fn can_share<'a>(members: impl Iterator<Item = &'a MemberInfo>) -> bool {
    let homes: Vec<_> = members.filter(|info| info.roles.contains(Roles::HOME)).collect();
    homes.len() <= 1 || !homes.iter().any(|info| info.private_store)
}

fn stale(member: &Member) -> Refusal {
    Refusal::StaleIncarnation { member: member.info.id, known: member.info.incarnation }
}
