#include "study/content_hash.hpp"

#include <catch2/catch.hpp>

using namespace hdap;

TEST_CASE("images in two parts have the hash of the whole", "[content_hash]") {
    const accuracy::ImageData whole{.count = 3,
                                    .channels = 1,
                                    .height = 1,
                                    .width = 2,
                                    .classes = 2,
                                    .pixels = {1, 2, 3, 4, 5, 6},
                                    .labels = {0, 1, 1},
                                    .mean = {0.5},
                                    .deviation = {0.25}};
    const auto hash_of = [](const accuracy::ImageData& images, const accuracy::ImageData* rest) {
        core::Sha256 hash;
        study::add_images(hash, images, rest);
        return hash.hex_digest();
    };
    const accuracy::ImageData rest = slice(whole, 2, 1);
    CHECK(hash_of(slice(whole, 0, 2), &rest) == hash_of(whole, nullptr));
    CHECK(hash_of(slice(whole, 0, 2), nullptr) != hash_of(whole, nullptr));
}
