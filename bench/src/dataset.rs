//! The documents that every comparison uses: made from a number, the same in every language.
//!
//! Document `i` has a stream of random numbers of its own, so any of them can be made alone. The
//! texts have no white space, and a control sum over the first 100,000 pins every byte.

use std::fmt::Write;

const SEED: u64 = 0xA1_1D0C_5EED;

/// splitmix64.
pub struct Rng(u64);

impl Rng {
    /// The stream whose state is the first output of a generator in state `seed`.
    pub fn derived(seed: u64) -> Rng {
        Rng(Rng(seed).next_u64())
    }

    /// The next number.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`: the high half of a product, one draw for any bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    fn pick<'w>(&mut self, words: &[&'w str]) -> &'w str {
        words[self.below(words.len() as u64) as usize]
    }
}

/// Makes the documents.
pub struct Dataset {
    first: Vec<&'static str>,
    last: Vec<&'static str>,
    tags: Vec<&'static str>,
    words: Vec<&'static str>,
    cities: Vec<String>,
    /// Running sums of the cities' weights, for Zipf's law.
    weights: Vec<u64>,
}

impl Default for Dataset {
    fn default() -> Self {
        Dataset::new()
    }
}

impl Dataset {
    /// The word lists, split.
    pub fn new() -> Dataset {
        let split = |list: &'static str| list.split_ascii_whitespace().collect::<Vec<_>>();
        let (starts, ends) = (split(CITY_A), split(CITY_B));
        let name = |rank: usize| format!("{}{}", starts[rank / 20], ends[rank % 20]);
        let weights = (1..=200_u64).scan(0, |sum, rank| {
            *sum += 1_000_000_000 / rank;
            Some(*sum)
        });
        Dataset {
            first: split(FIRST),
            last: split(LAST),
            tags: split(TAG),
            words: split(WORD),
            cities: (0..200).map(name).collect(),
            weights: weights.collect(),
        }
    }

    /// The id of document `i`.
    pub fn id(i: u64) -> String {
        format!("{:08x}5a17c0ffee{:06x}", 0x6600_0000 + i / 1000, i & 0xFF_FFFF)
    }

    /// The JSON text of document `i`.
    pub fn document(&self, i: u64) -> String {
        let mut text = String::with_capacity(512);
        self.write(i, &mut text).expect("a string takes any text");
        text
    }

    fn write(&self, i: u64, out: &mut String) -> std::fmt::Result {
        let rng = &mut Rng::derived(SEED + i);
        let (first, last) = (rng.pick(&self.first), rng.pick(&self.last));
        let (lower_first, lower_last) = (first.to_ascii_lowercase(), last.to_ascii_lowercase());
        let (id, host) = (Dataset::id(i), i % 97);
        write!(out, r#"{{"id":"{id}","name":"{first} {last}","#)?;
        write!(out, r#""email":"{lower_first}.{lower_last}{i}@ex{host}.org","#)?;
        write!(out, r#""age":{},"score":0.{:06},"#, 18 + rng.below(63), rng.below(1_000_000))?;
        write!(out, r#""city":"{}","tags":["#, self.city(rng))?;
        self.write_tags(rng, out)?;
        write!(out, r#"],"address":{{"zip":"{:05}","geo":["#, rng.below(100_000))?;
        write_degrees(rng.below(1_800_000) as i64 - 900_000, out)?;
        out.push(',');
        write_degrees(rng.below(3_600_000) as i64 - 1_800_000, out)?;
        let created_at = 1_700_000_000_000 + i * 1000 + rng.below(1000);
        write!(out, r#"]}},"createdAt":{created_at},"bio":""#)?;
        self.write_bio(rng, out);
        out.push_str("\"}");
        Ok(())
    }

    fn city(&self, rng: &mut Rng) -> &str {
        let point = rng.below(self.weights.last().copied().unwrap_or(1));
        &self.cities[self.weights.partition_point(|&sum| sum <= point)]
    }

    fn write_tags(&self, rng: &mut Rng, out: &mut String) -> std::fmt::Result {
        let (count, start) = (1 + rng.below(5), rng.below(50));
        let step = [1, 3, 7, 9][rng.below(4) as usize];
        for place in 0..count {
            let comma = if place == 0 { "" } else { "," };
            write!(out, "{comma}\"{}\"", self.tags[((start + place * step) % 50) as usize])?;
        }
        Ok(())
    }

    fn write_bio(&self, rng: &mut Rng, out: &mut String) {
        let start = out.len();
        out.push_str(rng.pick(&self.words));
        while out.len() - start < 115 {
            out.push(' ');
            out.push_str(rng.pick(&self.words));
        }
    }
}

fn write_degrees(value: i64, out: &mut String) -> std::fmt::Result {
    let sign = if value < 0 { "-" } else { "" };
    write!(out, "{sign}{}.{:04}", value.abs() / 10_000, value.abs() % 10_000)
}

const FIRST: &str = "\
    Ada Alan Alice Amir Anna Ben Bruno Carla Chen Clara Dana David Diego Elena Emil Eva Farid \
    Felix Fiona Grace Hana Hugo Igor Ines Ivan Jana John Julia Karim Lena Leo Lucia Maria Milan \
    Nadia Omar Petra Rosa Sven Yuki";
const LAST: &str = "\
    Adams Baker Becker Brown Castro Cohen Costa Diaz Evans Fischer Garcia Gomez Haas Hansen Ito \
    Jansen Jones Kaya Keller Khan Kim Klein Kovac Lange Larsen Lee Lopez Meyer Moreau Nagy Novak \
    Olsen Petrov Rossi Sato Silva Smith Tanaka Weber Wong";
const CITY_A: &str = "North South East West New Old Port Lake Mount Fort";
const CITY_B: &str = "\
    ville ton burg field haven ford bridge wood dale mouth stead gate ridge brook shore cliff \
    marsh moor view crest";
const TAG: &str = "\
    red blue green black white alpha beta gamma delta omega cold warm fast slow tiny huge north \
    south east west gold iron wood glass stone paper rock sand rain snow wind fire moon star \
    cloud river ocean hill tree leaf bird fish wolf bear lion note song code data byte";
const WORD: &str = "\
    able acid arch atom aunt baby back ball band bank barn base bath beam bell belt bird boat \
    body bold bone book boot born bowl brave bread brick brief bring broad brush build cabin \
    cable camp canal candle carbon castle cedar chain chalk chart cheese cherry circle clever \
    clock coast copper coral corner cotton cousin cradle cross dance dawn desert diamond dinner \
    distant doctor dragon dream eagle early earth echo eight ember engine entire fabric falcon \
    family farmer feather fence field finger flame flower forest fossil fresh frost galaxy \
    garden gentle ginger glacier golden grape gravel guitar hammer harbor harvest hollow honey \
    island jacket jungle kettle ladder lantern lemon linen magnet maple marble meadow mirror \
    morning mountain needle orchard pepper planet pocket quartz quiet ribbon saddle silver \
    timber";

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use super::*;

    #[test]
    fn the_first_hundred_thousand_documents_have_the_known_sum() {
        let dataset = Dataset::new();
        let mut hash = twox_hash::XxHash3_64::new();
        let mut bytes = 0;
        for i in 0..100_000 {
            let text = dataset.document(i);
            bytes += text.len();
            hash.write(text.as_bytes());
            hash.write(b"\n");
        }
        assert_eq!(hash.finish(), 0x9fda_0da3_eb58_9bed);
        assert_eq!((bytes + 50_000) / 100_000, 369);
    }

    #[test]
    fn the_generator_is_splitmix64() {
        let mut rng = Rng(0);
        assert_eq!(rng.next_u64(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.next_u64(), 0x6e78_9e6a_a1b9_65f4);
    }
}
