//! Owns slots: the private state of extensions, one value of a type, made when first asked for.

use std::any::{Any, TypeId};

use smallvec::SmallVec;

/// Values by their type. Few at a time, so a list is searched.
#[derive(Default)]
pub struct Slots {
    values: SmallVec<[(TypeId, Box<dyn Any>); 2]>,
}

impl Slots {
    /// The value of a type, if it was ever asked for mutably.
    pub fn get<T: Any>(&self) -> Option<&T> {
        let id = TypeId::of::<T>();
        self.values.iter().find(|(of, _)| *of == id).and_then(|(_, value)| value.downcast_ref())
    }

    /// The value of a type, made by `make` when first asked for.
    pub fn get_or_make<T: Any>(&mut self, make: impl FnOnce() -> T) -> &mut T {
        let id = TypeId::of::<T>();
        let index = match self.values.iter().position(|(of, _)| *of == id) {
            Some(index) => index,
            None => {
                self.values.push((id, Box::new(make())));
                self.values.len() - 1
            }
        };
        self.values[index].1.downcast_mut().expect("a slot holds the type that it is filed under")
    }

    /// Forgets the value of a type.
    pub fn clear<T: Any>(&mut self) {
        self.values.retain(|(of, _)| *of != TypeId::of::<T>());
    }

    /// Whether no extension keeps anything.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_has_one_value() {
        let mut slots = Slots::default();
        *slots.get_or_make(|| 1_u32) += 1;
        *slots.get_or_make(|| 1_u64) += 5;
        assert_eq!((slots.get::<u32>(), slots.get::<u64>()), (Some(&2), Some(&6)));
        slots.clear::<u32>();
        assert_eq!(slots.get::<u32>(), None);
    }
}
