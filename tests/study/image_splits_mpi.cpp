#include "hdap/core/error.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_stream.hpp"
#include "hdap/study/image_splits.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <optional>
#include <sys/resource.h>

using namespace hdap;
using parallel::Communicator;

namespace {

constexpr std::size_t side = 256;
constexpr std::size_t image_bytes = side * side;

/// Image `i` of a split whose first one is called `first`.
std::vector<std::uint8_t> pixels_of(std::size_t first, std::size_t i) {
    return std::vector<std::uint8_t>(image_bytes, static_cast<std::uint8_t>(first + i));
}

/// A sealed file of `train` and `test` images, which was never in memory as a whole.
void pack(const std::filesystem::path& path, std::size_t train, std::size_t test) {
    storage::SealedStream stream(path, (train + test) * image_bytes);
    storage::Hdf5Writer& file = stream.content();
    storage::write_identity(
        file, {.schema = accuracy::images_schema, .config_sha256 = {}, .input_sha256 = {}});
    file.attribute("/", "classes", std::int64_t{2});
    file.write("/mean", std::vector<double>{0.5});
    file.write("/deviation", std::vector<double>{0.25});
    for (const auto& [split, count] : {std::pair("/train", train), std::pair("/test", test)}) {
        const std::string images = split + std::string("/images");
        std::vector<std::int32_t> labels;
        file.begin_rows<std::uint8_t>(images, {1, side, side}, count);
        for (std::size_t i = 0; i < count; ++i) {
            file.append_rows<std::uint8_t>(images, pixels_of(train - count, i));
            labels.push_back(static_cast<std::int32_t>(i % 2));
        }
        file.write(split + std::string("/labels"), labels);
    }
    stream.commit();
}

/// A folder that the root makes and removes, and every rank knows.
class SharedFolder {
  public:
    explicit SharedFolder(const Communicator& world) {
        std::vector<char> path;
        if (world.is_root()) {
            const std::string made = folder_.emplace().path().string();
            path.assign(made.begin(), made.end());
        }
        world.broadcast(path);
        path_ = std::string(path.begin(), path.end());
    }
    [[nodiscard]] std::string operator/(const std::string& name) const { return path_ / name; }

  private:
    std::optional<test::TemporaryFolder> folder_;
    std::filesystem::path path_;
};

double peak_bytes() {
    rusage usage{};
    REQUIRE(::getrusage(RUSAGE_SELF, &usage) == 0);
    return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

void accept(std::int64_t) {}

} // namespace

TEST_CASE("too few images, and damage, are told on every rank before any image is read") {
    const auto world = Communicator::world();
    const SharedFolder folder(world);
    const std::string file = folder / "packed.h5";
    world.on_root([&] { pack(file, 5, 2); });
    CHECK_THROWS_WITH(study::read_images_on_every_rank(world, file, 2,
                                                       [](std::int64_t count) {
                                                           CHECK(count == 5);
                                                           throw core::ConfigError("too few");
                                                       }),
                      "too few");
    world.on_root([&] {
        std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(100'000);
        stream.put('x');
    });
    CHECK_THROWS_WITH(study::read_images_on_every_rank(world, file, 2, accept),
                      Catch::Contains("does not fit its seal"));
}

TEST_CASE("every rank gets the images, the last ones of train apart") {
    const auto world = Communicator::world();
    const SharedFolder folder(world);
    const std::string file = folder / "packed.h5";
    world.on_root([&] { pack(file, 5, 2); });
    const auto splits = study::read_images_on_every_rank(world, file, 2, accept);
    CHECK(splits.train.count == 3);
    CHECK(splits.train.labels == std::vector<std::int32_t>{0, 1, 0});
    CHECK(splits.held_out.labels == std::vector<std::int32_t>{1, 0});
    CHECK(splits.test.labels == std::vector<std::int32_t>{0, 1});
    for (const auto* part : {&splits.train, &splits.held_out, &splits.test}) {
        CHECK_NOTHROW(accuracy::check_images(*part, "images"));
        CHECK(part->mean == std::vector<double>{0.5});
    }
    CHECK(splits.train.pixels[2 * image_bytes] == 2);
    CHECK(splits.held_out.pixels[0] == 3);
    CHECK(splits.test.pixels[image_bytes] == 4);
    const auto all = study::read_images_on_every_rank(world, file, 0, accept);
    CHECK(all.train.count == 5);
    CHECK(all.held_out.count == 0);
}

TEST_CASE("images are in the memory of a rank once") {
    const auto world = Communicator::world();
    const SharedFolder folder(world);
    constexpr std::size_t images = 1000;
    world.on_root([&] { pack(folder / "packed.h5", images, 10); });
    const double before = peak_bytes();
    const auto splits = study::read_images_on_every_rank(world, folder / "packed.h5", 200, accept);
    CHECK(splits.train.count == 800);
    CHECK((peak_bytes() - before) / static_cast<double>(images * image_bytes) < 1.5);
}
