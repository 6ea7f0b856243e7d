//! Whether the parts of an RSA key fit together (RFC 8017, §3.2).
//!
//! `ring` uses the Chinese-remainder parts alone and never looks at the private exponent; OpenSSL
//! checks them all when it loads a key, and s2n with it. A key that one of them refuses is damaged.

use crypto_bigint::{BoxedUint, ConcatenatingMul, NonZero};
use pkcs8::der::asn1::{AnyRef, UintRef};
use pkcs8::der::{Decode, Reader};
use zeroize::Zeroize;

/// The nine integers of an RSAPrivateKey, wiped on drop.
struct Parts {
    version: BoxedUint,
    modulus: BoxedUint,
    public: BoxedUint,
    private: BoxedUint,
    primes: [Prime; 2],
    coefficient: BoxedUint,
}

struct Prime {
    prime: BoxedUint,
    exponent: BoxedUint,
}

/// Whether `der` is an RSAPrivateKey (RFC 8017, appendix A.1.2) of two primes whose parts all fit.
pub(crate) fn is_whole(der: &[u8]) -> bool {
    Parts::read(der).and_then(|parts| parts.fit()).unwrap_or(false)
}

impl Parts {
    fn read(der: &[u8]) -> Option<Self> {
        let mut numbers = AnyRef::from_der(der).ok()?.sequence(|reader| {
            let mut numbers = Vec::new();
            while !reader.is_finished() {
                let number: UintRef<'_> = reader.decode()?;
                numbers.push(BoxedUint::from_be_slice_vartime(number.as_bytes()));
            }
            Ok::<_, pkcs8::der::Error>(numbers)
        });
        let [version, modulus, public, private, p, q, p_exponent, q_exponent, coefficient] =
            std::mem::take(numbers.as_mut().ok()?).try_into().ok()?;
        let primes = [Prime { prime: p, exponent: p_exponent }, Prime { prime: q, exponent: q_exponent }];
        Some(Self { version, modulus, public, private, primes, coefficient })
    }

    /// n = pq; de = 1, and each prime's exponent is d, modulo that prime less one; q times its
    /// coefficient is 1 modulo p. `None` where a prime is 0 or 1.
    fn fit(&self) -> Option<bool> {
        let one = BoxedUint::one();
        let [Prime { prime: p, .. }, Prime { prime: q, .. }] = &self.primes;
        let mut fit = bool::from(self.version.is_zero()) && p.concatenating_mul(q) == self.modulus;
        for Prime { prime, exponent } in &self.primes {
            let less_one = NonZero::new(prime.wrapping_sub(&one)).into_option()?;
            fit &= self.private.concatenating_mul(&self.public).rem_vartime(&less_one) == one;
            fit &= self.private.rem_vartime(&less_one) == *exponent;
        }
        let p = NonZero::new(p.clone()).into_option()?;
        Some(fit && self.coefficient.concatenating_mul(q).rem_vartime(&p) == one)
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        self.private.zeroize();
        self.coefficient.zeroize();
        for Prime { prime, exponent } in &mut self.primes {
            prime.zeroize();
            exponent.zeroize();
        }
    }
}
