#include "hdap/core/hash.hpp"

#include "hdap/core/error.hpp"

#include <openssl/evp.h>

#include <array>

namespace hdap::core {

struct Sha256::Context {
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> handle{EVP_MD_CTX_new(),
                                                                   &EVP_MD_CTX_free};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
    if (!context_->handle || EVP_DigestInit_ex(context_->handle.get(), EVP_sha256(), nullptr) != 1)
        throw InternalError("cannot start SHA-256: OpenSSL's EVP_DigestInit_ex failed");
}

Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(std::span<const std::byte> bytes) {
    if (EVP_DigestUpdate(context_->handle.get(), bytes.data(), bytes.size()) != 1)
        throw InternalError("SHA-256 failed: OpenSSL's EVP_DigestUpdate returned an error");
    return *this;
}

Sha256& Sha256::update(std::string_view text) {
    return update(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Sha256::hex_digest() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    if (EVP_DigestFinal_ex(context_->handle.get(), digest.data(), &length) != 1)
        throw InternalError("SHA-256 failed: OpenSSL's EVP_DigestFinal_ex returned an error");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(2 * std::size_t{length});
    for (unsigned int i = 0; i < length; ++i) {
        text += digits[digest[i] >> 4];
        text += digits[digest[i] & 15U];
    }
    return text;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
    return Sha256().update(bytes).hex_digest();
}

std::string sha256_hex(std::string_view text) {
    return Sha256().update(text).hex_digest();
}

} // namespace hdap::core
