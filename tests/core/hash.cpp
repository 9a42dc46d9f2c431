#include "hdap/core/hash.hpp"

#include <catch2/catch.hpp>

using namespace hdap::core;

TEST_CASE("SHA-256 gives the known answers of FIPS 180-4") {
    CHECK(sha256_hex(std::string_view("")) ==
          "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(sha256_hex(std::string_view("abc")) ==
          "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("SHA-256 of parts equals SHA-256 of the whole") {
    CHECK(Sha256().update("ab").update("c").hex_digest() == sha256_hex(std::string_view("abc")));
}
