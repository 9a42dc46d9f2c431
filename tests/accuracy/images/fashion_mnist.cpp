#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <fstream>
#include <string>
#include <vector>

using namespace hdap;
using namespace hdap::accuracy;
using Catch::Matchers::Contains;
using Bytes = std::vector<unsigned char>;

namespace {

const std::filesystem::path debian_folder = "/usr/share/datasets/fashion-mnist";

void append_number(Bytes& bytes, std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8)
        bytes.push_back(static_cast<unsigned char>(value >> shift));
}

Bytes idx_images(std::uint32_t count) {
    Bytes bytes;
    for (const std::uint32_t number : {0x803U, count, 28U, 28U})
        append_number(bytes, number);
    for (std::uint32_t i = 0; i < count * 28 * 28; ++i)
        bytes.push_back(static_cast<unsigned char>(i * 7 + i / 784));
    return bytes;
}

Bytes idx_labels(std::uint32_t count) {
    Bytes bytes;
    append_number(bytes, 0x801);
    append_number(bytes, count);
    for (std::uint32_t i = 0; i < count; ++i)
        bytes.push_back(static_cast<unsigned char>(i % 10));
    return bytes;
}

/// The four files of a tiny Fashion-MNIST, not gzipped.
class TinyDataSet {
  public:
    TinyDataSet() {
        put("train-images-idx3-ubyte", idx_images(12));
        put("train-labels-idx1-ubyte", idx_labels(12));
        put("t10k-images-idx3-ubyte", idx_images(3));
        put("t10k-labels-idx1-ubyte", idx_labels(3));
    }

    void put(const std::string& name, const Bytes& bytes) const {
        std::ofstream file(folder_ / name, std::ios::binary);
        file.write(reinterpret_cast<const char*>(bytes.data()),
                   static_cast<std::streamsize>(bytes.size()));
    }

    [[nodiscard]] storage::Hdf5Reader pack() const {
        pack_fashion_mnist(folder_.path(), folder_ / "packed.h5");
        return storage::Hdf5Reader::from_bytes(storage::read_sealed(folder_ / "packed.h5"),
                                               "packed.h5");
    }

    [[nodiscard]] std::string failure() const {
        try {
            (void)pack();
        } catch (const core::DataError& error) {
            CHECK_FALSE(std::filesystem::exists(folder_ / "packed.h5"));
            return error.what();
        }
        return "no DataError";
    }

    [[nodiscard]] const test::TemporaryFolder& folder() const { return folder_; }

  private:
    test::TemporaryFolder folder_;
};

} // namespace

TEST_CASE("damaged IDX files are refused, and nothing is written", "[fashion_mnist]") {
    const TinyDataSet data;
    const std::string images = "train-images-idx3-ubyte";
    const std::string labels = "train-labels-idx1-ubyte";

    Bytes bytes = idx_images(12);
    bytes[2] = 9;
    data.put(images, bytes);
    CHECK_THAT(data.failure(), Contains(images) && Contains("magic number is 2307, expected 2051"));

    bytes = idx_images(12);
    bytes.pop_back();
    data.put(images, bytes);
    CHECK_THAT(data.failure(), Contains("is truncated"));
    data.put(images, {});
    CHECK_THAT(data.failure(), Contains("is truncated"));

    bytes = idx_images(12);
    bytes.push_back(0);
    data.put(images, bytes);
    CHECK_THAT(data.failure(), Contains("goes on after its last entry"));

    bytes = idx_images(12);
    bytes[4] = 0xff; // four thousand million images
    data.put(images, bytes);
    CHECK_THAT(data.failure(), Contains("entries, must be in"));

    bytes = idx_images(12);
    bytes[11] = 32;
    data.put(images, bytes);
    CHECK_THAT(data.failure(), Contains("height is 32, expected 28"));
    data.put(images, idx_images(12));

    data.put(labels, idx_labels(11));
    CHECK_THAT(data.failure(), Contains(labels) && Contains("number of labels is 11"));
    bytes = idx_labels(12);
    bytes.back() = 10;
    data.put(labels, bytes);
    CHECK_THAT(data.failure(), Contains("label 11 is 10"));

    std::filesystem::remove(data.folder() / labels);
    CHECK_THAT(data.failure(), Contains(labels) && Contains("dataset-fashion-mnist"));
}

TEST_CASE("a gzipped file that is cut or damaged is refused", "[fashion_mnist]") {
    const TinyDataSet data;
    data.put("train-labels-idx1-ubyte.gz", {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00});
    CHECK_THAT(data.failure(), Contains("train-labels-idx1-ubyte.gz"));
    data.put("train-labels-idx1-ubyte.gz",
             {0x1f, 0x8b, 0x08, 0x00, 0, 0, 0, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0xff});
    CHECK_THAT(data.failure(), Contains("is damaged"));
}

TEST_CASE("IDX files are packed with the train split's mean and deviation", "[fashion_mnist]") {
    const TinyDataSet data;
    const storage::Hdf5Reader file = data.pack();
    const ImageData train = read_images(file, "train");
    const ImageData test = read_images(file, "test");
    CHECK(train.count == 12);
    CHECK(test.count == 3);
    CHECK(train.channels == 1);
    CHECK(train.height == 28);
    CHECK(train.width == 28);
    CHECK(train.classes == 10);
    CHECK(train.labels[11] == 1);
    CHECK(test.labels == std::vector<std::int32_t>{0, 1, 2});
    const Bytes expected = idx_images(12);
    CHECK(train.pixels == Bytes(expected.begin() + 16, expected.end()));
    double sum = 0.0;
    double squares = 0.0;
    for (const std::uint8_t pixel : train.pixels) {
        sum += pixel / 255.0;
        squares += pixel / 255.0 * (pixel / 255.0);
    }
    const double mean = sum / static_cast<double>(train.pixels.size());
    CHECK(train.mean[0] == Approx(mean));
    CHECK(train.deviation[0] ==
          Approx(std::sqrt(squares / static_cast<double>(train.pixels.size()) - mean * mean)));
    CHECK(test.mean == train.mean);
    CHECK(test.deviation == train.deviation);
    CHECK(read_class_names(file).back() == "Ankle boot");
}

TEST_CASE("Debian's Fashion-MNIST is packed whole", "[fashion_mnist]") {
    if (!std::filesystem::exists(debian_folder)) {
        WARN("skipped: " << debian_folder << " is not there (package dataset-fashion-mnist)");
        return;
    }
    const test::TemporaryFolder folder;
    pack_fashion_mnist(debian_folder, folder / "fashion-mnist.h5");
    const auto file = storage::Hdf5Reader::from_bytes(
        storage::read_sealed(folder / "fashion-mnist.h5"), "fashion-mnist.h5");
    const ImageData train = read_images(file, "train");
    CHECK(train.count == 60'000);
    CHECK(train.mean[0] == Approx(0.2860).margin(1e-4));
    CHECK(train.deviation[0] == Approx(0.3530).margin(1e-4));
    std::vector<int> per_class(10, 0);
    for (const std::int32_t label : train.labels)
        ++per_class[static_cast<std::size_t>(label)];
    CHECK(per_class == std::vector<int>(10, 6000));
    CHECK(read_images(file, "test").count == 10'000);
}
