//! People.
/// Everybody.
#[derive(Clone, Debug, Default)]
pub struct Population {}
impl Population {
    /// All of them.
    pub fn new(_hospitals: u16, _doctors: u32, _patients: u32) -> Self {
        Self {}
    }
}
