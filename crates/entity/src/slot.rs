//! Owns slots: the private state of extensions, one value of a type, made when first asked for, and their way
//! into a snapshot and back.

use std::any::{Any, TypeId};

use bytes::Bytes;
use proto::snapshot::SlotSnapshot;
use smallvec::SmallVec;

/// The private state of an extension: of an entity, or of one of its sessions.
pub trait Slot: Any {
    /// The name in snapshots; no other slot of the entity has it, and no later version gives it another
    /// meaning.
    const NAME: &'static str;

    /// The value, for another member or a later time; none where it comes back without: out of the rows,
    /// or because it lives for one turn.
    fn encode(&self) -> Option<Bytes>;

    /// Reads what was encoded; none for anything else.
    fn decode(value: &[u8]) -> Option<Self>
    where
        Self: Sized;
}

/// A type of slot, for whoever brings back slots by their names.
pub struct SlotKind {
    name: &'static str,
    put: fn(&mut Slots, &[u8]) -> bool,
}

impl SlotKind {
    /// Of this type.
    pub const fn of<T: Slot>() -> Self {
        Self { name: T::NAME, put: put::<T> }
    }
}

fn put<T: Slot>(slots: &mut Slots, value: &[u8]) -> bool {
    let value = T::decode(value);
    let read = value.is_some();
    if let Some(value) = value {
        slots.clear::<T>();
        slots.get_or_make(|| value);
    }
    read
}

/// Values by their type. Few at a time, so a list is searched.
#[derive(Default)]
pub struct Slots {
    values: SmallVec<[(TypeId, Box<dyn Kept>); 2]>,
}

/// A slot of any type.
trait Kept {
    fn value(&self) -> &dyn Any;
    fn value_mut(&mut self) -> &mut dyn Any;
    fn snapshot(&self) -> Option<SlotSnapshot>;
}

impl<T: Slot> Kept for T {
    fn value(&self) -> &dyn Any {
        self
    }

    fn value_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn snapshot(&self) -> Option<SlotSnapshot> {
        self.encode().map(|value| SlotSnapshot { name: T::NAME.to_owned(), value })
    }
}

impl Slots {
    /// The value of a type, if it was ever asked for mutably.
    pub fn get<T: Slot>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        let of_type = self.values.iter().find(|(of, _)| *of == id);
        of_type.and_then(|(_, slot)| (**slot).value().downcast_ref())
    }

    /// The value of a type, made by `make` when first asked for.
    pub fn get_or_make<T: Slot>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let id = TypeId::of::<T>();
        let index = match self.values.iter().position(|(of, _)| *of == id) {
            Some(index) => index,
            None => {
                self.values.push((id, Box::new(make())));
                self.values.len() - 1
            }
        };
        let slot = (*self.values[index].1).value_mut();
        slot.downcast_mut().expect("a slot holds the type that it is filed under")
    }

    /// Forgets the value of a type.
    pub fn clear<T: Slot>(&mut self) {
        self.values.retain(|(of, _)| *of != TypeId::of::<T>());
    }

    /// Whether no extension keeps anything.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// What does not come back by itself.
    pub fn snapshot(&self) -> Vec<SlotSnapshot> {
        self.values.iter().filter_map(|(_, slot)| slot.snapshot()).collect()
    }

    /// Brings slots back. Those that no kind stands for, or that cannot be read, are left out and their
    /// names given back: an extension that is not here any more takes nothing with it.
    pub fn restore<'a, 'b>(
        &mut self,
        kinds: impl Iterator<Item = &'a SlotKind> + Clone,
        snapshots: &'b [SlotSnapshot],
    ) -> Vec<&'b str> {
        let mut lost = Vec::new();
        for SlotSnapshot { name, value } in snapshots {
            let kind = kinds.clone().find(|kind| kind.name == name);
            if !kind.is_some_and(|kind| (kind.put)(self, value)) {
                lost.push(name.as_str());
            }
        }
        lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Count(u8);

    #[derive(Debug, PartialEq)]
    struct OfRows(u8);

    impl Slot for Count {
        const NAME: &'static str = "count";

        fn encode(&self) -> Option<Bytes> {
            Some(vec![self.0].into())
        }

        fn decode(value: &[u8]) -> Option<Self> {
            value.first().copied().map(Self)
        }
    }

    impl Slot for OfRows {
        const NAME: &'static str = "of-rows";

        fn encode(&self) -> Option<Bytes> {
            None
        }

        fn decode(_: &[u8]) -> Option<Self> {
            None
        }
    }

    const KINDS: [SlotKind; 2] = [SlotKind::of::<Count>(), SlotKind::of::<OfRows>()];

    fn slots() -> Slots {
        let mut slots = Slots::default();
        slots.get_or_make(|| Count(1)).0 += 1;
        slots.get_or_make(|| OfRows(1)).0 += 5;
        slots
    }

    #[test]
    fn each_type_has_one_value() {
        let mut slots = slots();
        assert_eq!((slots.get(), slots.get()), (Some(&Count(2)), Some(&OfRows(6))));
        slots.clear::<Count>();
        assert_eq!(slots.get::<Count>(), None);
    }

    #[test]
    fn what_does_not_come_out_of_rows_comes_back_by_its_name() {
        let kept = slots().snapshot();
        let mut slots = Slots::default();
        slots.get_or_make(|| Count(9));
        assert!(slots.restore(KINDS.iter(), &kept).is_empty());
        assert_eq!((slots.get(), slots.get::<OfRows>()), (Some(&Count(2)), None));
    }

    #[test]
    fn slots_that_nobody_knows_or_can_read_are_named() {
        let slot = |name: &str| SlotSnapshot { name: name.to_owned(), value: Bytes::new() };
        let kept = [slot("strange"), slot("count")];
        let mut slots = Slots::default();
        assert_eq!(slots.restore(KINDS.iter(), &kept), ["strange", "count"]);
        assert!(slots.is_empty());
    }
}
