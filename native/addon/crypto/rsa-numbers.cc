#include "rsa-numbers.h"

#include "failure.h"
#include "pkey.h"

namespace crypto {

namespace {

[[noreturn]] void inconsistent() {
  fail(FailureCode::InvalidKey, "the numbers of the RSA key do not belong together");
}

void need(bool condition) {
  if (!condition) inconsistent();
}

Number fresh() {
  Number number(BN_secure_new());
  if (!number) fail(FailureCode::OperationFailed, "out of memory");
  BN_set_flags(number.get(), BN_FLG_CONSTTIME);
  return number;
}

Number minusOne(const Number& number) {
  Number result = fresh();
  need(BN_copy(result.get(), number.get()) != nullptr && BN_sub_word(result.get(), 1) == 1);
  return result;
}

Number remainder(const Number& number, const Number& modulus, BN_CTX* context) {
  Number result = fresh();
  need(BN_nnmod(result.get(), number.get(), modulus.get(), context) == 1);
  return result;
}

Number power(const Number& base, const Number& exponent, const Number& modulus, BN_CTX* context) {
  Number result = fresh();
  need(BN_mod_exp_mont_consttime(result.get(), base.get(), exponent.get(), modulus.get(), context, nullptr) ==
       1);
  return result;
}

Number word(BN_ULONG value) {
  Number result = fresh();
  need(BN_set_word(result.get(), value) == 1);
  return result;
}

// A square root of 1 modulo n other than 1 and n-1, found below base^(d*e - 1), shares a prime with n; null
// when this base leads to none.
Number primeFrom(BN_ULONG base, const Number& n, const Number& odd, int twos, BN_CTX* context) {
  const Number last = minusOne(n);
  Number y = power(word(base), odd, n, context);
  if (BN_is_one(y.get()) || BN_cmp(y.get(), last.get()) == 0) return nullptr;
  for (int i = 0; i < twos; i++) {
    Number square = fresh();
    need(BN_mod_sqr(square.get(), y.get(), n.get(), context) == 1);
    if (BN_is_one(square.get())) {
      Number prime = fresh();
      need(BN_gcd(prime.get(), minusOne(y).get(), n.get(), context) == 1);
      return prime;
    }
    if (BN_cmp(square.get(), last.get()) == 0) return nullptr;
    y = std::move(square);
  }
  inconsistent();  // base^(d*e - 1) is not 1: d does not belong to e
}

// SP 800-56B revision 2, appendix C.1, with small bases in place of random ones: each succeeds with
// probability 1/2.
Number findPrime(const Number& n, const Number& e, const Number& d, BN_CTX* context) {
  constexpr BN_ULONG bases = 100;
  Number product = fresh();
  need(BN_mul(product.get(), d.get(), e.get(), context) == 1);
  const Number k = minusOne(product);
  need(!BN_is_zero(k.get()) && !BN_is_odd(k.get()));
  int twos = 0;
  while (!BN_is_bit_set(k.get(), twos)) twos++;
  Number odd = fresh();
  need(BN_rshift(odd.get(), k.get(), twos) == 1);
  for (BN_ULONG base = 2; base < 2 + bases; base++) {
    Number prime = primeFrom(base, n, odd, twos, context);
    if (prime) return prime;
  }
  inconsistent();
}

Number exactQuotient(const Number& dividend, const Number& divisor, BN_CTX* context) {
  Number quotient = fresh();
  Number rest = fresh();
  need(!BN_is_zero(divisor.get()) &&
       BN_div(quotient.get(), rest.get(), dividend.get(), divisor.get(), context) == 1 &&
       BN_is_zero(rest.get()));
  return quotient;
}

void setOrCompare(Number& given, Number computed) {
  if (given) need(BN_cmp(given.get(), computed.get()) == 0);
  given = std::move(computed);
}

void fillPrimes(RsaNumbers& numbers, BN_CTX* context) {
  Number& p = numbers[rsaP];
  Number& q = numbers[rsaQ];
  if (!p && !q) {
    p = findPrime(numbers[rsaN], numbers[rsaE], numbers[rsaD], context);
    q = exactQuotient(numbers[rsaN], p, context);
    if (BN_cmp(p.get(), q.get()) < 0) std::swap(p, q);  // the usual order
  } else if (!p) {
    p = exactQuotient(numbers[rsaN], q, context);
  } else {
    setOrCompare(q, exactQuotient(numbers[rsaN], p, context));
  }
}

// Fermat to the base 2 is enough: the point is to refuse numbers that would sign wrongly, not to certify a
// prime.
void checkPrime(const Number& prime, const Number& e, const Number& crtExponent, BN_CTX* context) {
  need(BN_is_odd(prime.get()) && BN_num_bits(prime.get()) > 1);
  const Number order = minusOne(prime);
  Number product = fresh();
  need(BN_mod_mul(product.get(), e.get(), crtExponent.get(), order.get(), context) == 1 &&
       BN_is_one(product.get()));
  need(BN_is_one(power(word(2), order, prime, context).get()));
}

}  // namespace

void completeRsaNumbers(RsaNumbers& numbers) {
  const Number& n = numbers[rsaN];
  const Number& e = numbers[rsaE];
  const Number& d = numbers[rsaD];
  need(n && e && d && BN_is_odd(n.get()) && BN_num_bits(n.get()) <= maximumRsaBits && BN_is_odd(e.get()) &&
       !BN_is_one(e.get()) && BN_cmp(e.get(), n.get()) < 0 && BN_num_bits(d.get()) > 1 &&
       BN_cmp(d.get(), n.get()) < 0);
  const NumberContext context(BN_CTX_secure_new());
  fillPrimes(numbers, context.get());
  const Number& p = numbers[rsaP];
  const Number& q = numbers[rsaQ];
  need(BN_num_bits(p.get()) > 1 && BN_num_bits(q.get()) > 1 && BN_cmp(p.get(), q.get()) != 0);
  setOrCompare(numbers[rsaDp], remainder(d, minusOne(p), context.get()));
  setOrCompare(numbers[rsaDq], remainder(d, minusOne(q), context.get()));
  checkPrime(p, e, numbers[rsaDp], context.get());
  checkPrime(q, e, numbers[rsaDq], context.get());
  Number coefficient = fresh();
  need(BN_mod_inverse(coefficient.get(), q.get(), p.get(), context.get()) != nullptr);
  setOrCompare(numbers[rsaQinv], std::move(coefficient));
}

}  // namespace crypto
