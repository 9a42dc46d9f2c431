#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "image_writer.hpp"

#include <fmt/core.h>
#include <zlib.h>

#include <array>
#include <memory>
#include <span>

namespace hdap::accuracy {
namespace {

constexpr std::int64_t side = 28;
constexpr std::int64_t classes = 10;
/// Some more than the 60,000 of the train split; keeps a hostile header from asking for memory.
constexpr std::uint32_t max_images = 100'000;

/// An IDX file (LeCun's format for MNIST), gzipped or not: zlib tells by its first bytes.
class IdxFile {
  public:
    IdxFile(const std::filesystem::path& folder, const std::string& name)
        : path_(folder / (name + ".gz")), handle_(nullptr, &gzclose_r) {
        if (!std::filesystem::exists(path_)) path_ = folder / name;
        if (!std::filesystem::exists(path_))
            throw core::DataError(fmt::format(
                "{}: holds neither '{}.gz' nor '{}'; Debian's package dataset-fashion-mnist brings "
                "the files to /usr/share/datasets/fashion-mnist",
                folder.string(), name, name));
        handle_.reset(gzopen(path_.c_str(), "rb"));
        if (!handle_) fail("cannot be opened");
    }

    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(path_.string() + ": " + what);
    }

    void read(std::span<std::uint8_t> bytes) {
        // One call of zlib reads at most 2^31 bytes.
        if (bytes.size() > std::size_t{max_images} * side * side) fail("is too large");
        const int count = gzread(handle_.get(), bytes.data(), static_cast<unsigned>(bytes.size()));
        if (count < 0 || static_cast<std::size_t>(count) != bytes.size()) {
            int error = Z_OK;
            const char* message = gzerror(handle_.get(), &error);
            fail(error == Z_OK || error == Z_BUF_ERROR ? std::string("is truncated")
                                                       : std::string("is damaged: ") + message);
        }
    }

    /// A big-endian number of the header.
    std::uint32_t read_number() {
        std::array<std::uint8_t, 4> bytes{};
        read(bytes);
        std::uint32_t value = 0;
        for (const std::uint8_t byte : bytes)
            value = (value << 8) | byte;
        return value;
    }

    void expect_number(const char* what, std::uint32_t expected) {
        const std::uint32_t value = read_number();
        if (value != expected) fail(fmt::format("{} is {}, expected {}", what, value, expected));
    }

    std::uint32_t read_count() {
        const std::uint32_t count = read_number();
        if (count < 1 || count > max_images)
            fail(fmt::format("holds {} entries, must be in [1, {}]", count, max_images));
        return count;
    }

    void expect_end() {
        if (gzgetc(handle_.get()) != -1) fail("goes on after its last entry");
        // zlib checks its own checksum only once it has seen the end.
        int error = Z_OK;
        const char* message = gzerror(handle_.get(), &error);
        if (error != Z_OK) fail(std::string("is damaged: ") + message);
    }

  private:
    std::filesystem::path path_;
    std::unique_ptr<gzFile_s, int (*)(gzFile)> handle_;
};

struct Split {
    std::size_t count = 0;
    std::vector<std::uint8_t> pixels;
    std::vector<std::uint8_t> labels;
};

Split read_split(const std::filesystem::path& folder, const std::string& prefix) {
    constexpr std::uint32_t images_magic = 0x00000803; // bytes, three dimensions
    constexpr std::uint32_t labels_magic = 0x00000801; // bytes, one dimension
    Split split;
    IdxFile images(folder, prefix + "-images-idx3-ubyte");
    images.expect_number("the magic number", images_magic);
    split.count = images.read_count();
    images.expect_number("the height", side);
    images.expect_number("the width", side);
    split.pixels.resize(split.count * side * side);
    images.read(split.pixels);
    images.expect_end();

    IdxFile labels(folder, prefix + "-labels-idx1-ubyte");
    labels.expect_number("the magic number", labels_magic);
    labels.expect_number("the number of labels", static_cast<std::uint32_t>(split.count));
    split.labels.resize(split.count);
    labels.read(split.labels);
    labels.expect_end();
    for (std::size_t i = 0; i < split.count; ++i)
        if (split.labels[i] >= classes)
            labels.fail(
                fmt::format("label {} is {}, must be in [0, {}]", i, split.labels[i], classes - 1));
    return split;
}

void append_split(ImageWriter& writer, const std::string& name, const Split& split) {
    writer.begin_split(name, static_cast<std::int64_t>(split.count));
    const std::vector<std::int32_t> labels(split.labels.begin(), split.labels.end());
    writer.append(split.pixels, labels);
}

} // namespace

void pack_fashion_mnist(const std::filesystem::path& folder, const std::filesystem::path& output) {
    const Split train = read_split(folder, "train");
    const Split test = read_split(folder, "t10k");
    ImageWriter writer(output,
                       {.channels = 1,
                        .height = side,
                        .width = side,
                        .class_names = {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
                                        "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"},
                        .most_images = static_cast<std::int64_t>(train.count + test.count)});
    append_split(writer, "train", train);
    append_split(writer, "test", test);
    writer.commit(folder.string());
}

} // namespace hdap::accuracy
