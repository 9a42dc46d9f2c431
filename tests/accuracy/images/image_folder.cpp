#include "hdap/accuracy/image_folder.hpp"

#include "accuracy/images/image_samples.hpp"
#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/error.hpp"
#include "hdap/storage/schema.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "support/temporary_folder.hpp"

#include <catch2/catch.hpp>

#include <algorithm>
#include <map>
#include <omp.h>
#include <set>
#include <sys/stat.h>
#include <tuple>

using namespace hdap;
using namespace hdap::accuracy;
using namespace hdap::accuracy::testing;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

constexpr ImageFolderParameters small{.size = 8, .short_side = 8};

storage::Hdf5Reader reader_of(const fs::path& file) {
    return storage::Hdf5Reader::from_bytes(storage::read_sealed(file), "packed.h5");
}

/// A folder of images of 8 × 8 pixels, each another one.
class Flowers {
  public:
    /// Adds an image to `place`, such as "train/rose/1.png", and returns its pixels.
    const DecodedImage& add(const std::string& place) {
        const DecodedImage& image = images_[place] = noise(8, 8, 3, ++added_);
        write(path() / place, png_of(image));
        return image;
    }

    /// Three classes, of which the test split has two.
    void add_some() {
        for (const char* place :
             {"train/tulip/b.png", "train/aster/2.png", "train/aster/10.png", "train/rose/x.png",
              "train/tulip/a.png", "test/tulip/q.png", "test/aster/r.png", "test/tulip/p.png"})
            add(place);
    }

    /// [channels][8][8]
    [[nodiscard]] Bytes planes(const std::string& place) const {
        return centre_square(images_.at(place), 8, 8);
    }

    [[nodiscard]] std::string failure(const ImageFolderParameters& parameters = small) const {
        fs::remove_all(out());
        fs::create_directory(out());
        try {
            pack_image_folder(path(), out() / "packed.h5", parameters);
        } catch (const core::DataError& error) {
            CHECK(fs::is_empty(out()));
            return error.what();
        }
        return "no DataError";
    }

    ImageFolderReport pack(const ImageFolderParameters& parameters = small) const {
        fs::create_directory(out());
        return pack_image_folder(path(), out() / "packed.h5", parameters);
    }

    [[nodiscard]] ImageData read(const std::string& split) const {
        return read_images(reader_of(out() / "packed.h5"), split);
    }

    [[nodiscard]] fs::path path() const { return folder_ / "flowers"; }
    [[nodiscard]] fs::path out() const { return folder_ / "out"; }
    [[nodiscard]] fs::path operator/(const std::string& place) const { return path() / place; }

  private:
    test::TemporaryFolder folder_;
    std::map<std::string, DecodedImage> images_;
    std::uint32_t added_ = 0;
};

Bytes image_of(const ImageData& images, std::size_t i) {
    const std::size_t size = images.pixels.size() / std::size_t(images.count);
    const auto first = images.pixels.begin() + std::ptrdiff_t(i * size);
    return {first, first + std::ptrdiff_t(size)};
}

} // namespace

TEST_CASE("folders that are missing or hold no classes are refused", "[image_folder]") {
    Flowers flowers;
    CHECK_THAT(flowers.failure(), Contains("flowers: is not a folder"));
    fs::create_directories(flowers / "all");
    CHECK_THAT(flowers.failure(), Contains("flowers/train: is not a folder") &&
                                      Contains("flowers/all is the folder to pack"));
    fs::remove(flowers / "all");
    flowers.add("train/rose/1.png");
    CHECK_THAT(flowers.failure(), Contains("flowers/train: holds 1 folder, one for each class"));
    flowers.add("train/tulip/1.png");
    CHECK_THAT(flowers.failure(), Contains("flowers: has no test/, val/ or validation/"));
    write(flowers / "test/unlabelled.png", {});
    CHECK_THAT(flowers.failure(), Contains("flowers: has no test/, val/ or validation/"));
    fs::create_directories(flowers / "test/rose/deeper");
    CHECK_THAT(flowers.failure(), Contains("flowers/test: holds no image"));
    flowers.add("test/rose/deeper/1.png");
    CHECK(flowers.failure() == "no DataError");
    fs::remove(flowers / "train/rose/1.png");
    fs::remove(flowers / "train/tulip/1.png");
    CHECK_THAT(flowers.failure(), Contains("flowers/train: holds no image"));
}

TEST_CASE("classes of the test images that train lacks are named", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    flowers.add("test/tulips/1.png");
    flowers.add("test/daisy/1.png");
    CHECK_THAT(flowers.failure(),
               Contains("flowers/test: has classes that train/ lacks: daisy, tulips"));
}

TEST_CASE("images get the class of their folder, in the order of the names", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    const ImageFolderReport report = flowers.pack();
    CHECK(report.corrupt == 0);
    CHECK(report.test_folder == "test");
    CHECK(report.warnings == std::vector<std::string>{"classes without images in test/ (1): rose"});
    CHECK(read_class_names(reader_of(flowers.out() / "packed.h5")) ==
          std::vector<std::string>{"aster", "rose", "tulip"});
    const ImageData test = flowers.read("test");
    CHECK(test.classes == 3);
    CHECK(test.labels == std::vector<std::int32_t>{0, 2, 2});
    CHECK(test.pixels ==
          joined({flowers.planes("test/aster/r.png"), flowers.planes("test/tulip/p.png"),
                  flowers.planes("test/tulip/q.png")}));
}

TEST_CASE("training images are shuffled by the seed, and keep their classes", "[image_folder]") {
    Flowers flowers;
    std::map<std::string, std::int32_t> expected; // by pixels
    const auto text_of = [](const Bytes& pixels) {
        return std::string(pixels.begin(), pixels.end());
    };
    for (int i = 0; i < 40; ++i) {
        const std::string name = (i % 2 == 0 ? "a/" : "b/") + std::to_string(i) + ".png";
        flowers.add("train/" + name);
        expected[text_of(flowers.planes("train/" + name))] = i % 2;
    }
    flowers.add("test/a/1.png");
    const auto labels_with = [&](std::uint64_t seed) {
        ImageFolderParameters parameters = small;
        parameters.seed = seed;
        flowers.pack(parameters);
        const ImageData train = flowers.read("train");
        std::map<std::string, std::int32_t> found;
        for (std::size_t i = 0; i < 40; ++i)
            found[text_of(image_of(train, i))] = train.labels[i];
        CHECK(found == expected);
        return train.labels;
    };
    const auto first = labels_with(1);
    CHECK(labels_with(1) == first);
    CHECK(labels_with(2) != first);
    // Sorted by class, the last images would all be of one.
    CHECK(std::count(first.end() - 10, first.end(), 0) > 0);
    CHECK(std::count(first.end() - 10, first.end(), 1) > 0);
}

TEST_CASE("the packed images are the same for any number of threads", "[image_folder]") {
    Flowers flowers;
    for (int i = 0; i < 30; ++i)
        write(flowers / ("train/" + std::to_string(i % 3) + "/" + std::to_string(i) + ".jpg"),
              jpeg_of(noise(20 + i, 30, 3, std::uint32_t(i))));
    write(flowers / "train/1/bad.jpg", bytes_of("bad"));
    write(flowers / "test/1/1.jpg", jpeg_of(noise(100, 20, 3)));
    ImageFolderParameters parameters = small;
    parameters.max_corrupt = 1;
    const auto packed_by = [&](int threads) {
        omp_set_num_threads(threads);
        flowers.pack(parameters);
        omp_set_num_threads(1);
        return std::pair(flowers.read("train").pixels, flowers.read("train").labels);
    };
    const auto expected = packed_by(1);
    CHECK(expected.second.size() == 30);
    CHECK(packed_by(2) == expected);
    CHECK(packed_by(7) == expected);
}

TEST_CASE("images of any size and kind become squares", "[image_folder]") {
    Flowers flowers;
    const Bytes wide = jpeg_of(noise(50, 20, 3));
    const Bytes tall = png_of(noise(9, 33, 1));
    write(flowers / "train/a/wide.JPG", wide);
    write(flowers / "train/b/wide.Jpeg", wide);
    write(flowers / "test/a/tall.PNG", tall);
    for (const std::int64_t channels : {1, 3}) {
        flowers.pack({.size = 10, .short_side = 12, .channels = channels});
        const ImageData train = flowers.read("train");
        const ImageData test = flowers.read("test");
        CHECK(train.channels == channels);
        CHECK(train.height == 10);
        CHECK(train.width == 10);
        const auto expected = [&](const Bytes& file) {
            return centre_square(decode_image(file, int(channels)), 10, 12);
        };
        CHECK(image_of(train, 0) == expected(wide));
        CHECK(image_of(train, 1) == expected(wide));
        CHECK(test.pixels == expected(tall));
    }
}

TEST_CASE("other names stand for test/, also beside an unlabelled test/", "[image_folder]") {
    for (const char* name : {"val", "validation", "valid", "Testing"}) {
        Flowers flowers;
        flowers.add("train/a/1.png");
        flowers.add("train/b/1.png");
        flowers.add(std::string(name) + "/b/1.png");
        write(flowers / "test/unlabelled.png", {});
        CHECK(flowers.pack().test_folder == name);
        CHECK(flowers.read("test").labels == std::vector<std::int32_t>{1});
    }
}

TEST_CASE("images deeper than their class are of this class, and named", "[image_folder]") {
    Flowers flowers;
    flowers.add("train/animal/cat/x.png");
    flowers.add("train/animal/cat/small/y.png");
    flowers.add("train/animal/a.png");
    flowers.add("train/plant/z.png");
    flowers.add("test/plant/deep/z.png");
    const ImageFolderReport report = flowers.pack();
    CHECK(report.warnings ==
          std::vector<std::string>{
              "classes without images in test/ (1): animal",
              "nested deeper than CLASS/, packed as of that class (3): "
              "train/animal/cat/small/y.png, train/animal/cat/x.png, test/plant/deep/z.png"});
    std::vector<std::int32_t> labels = flowers.read("train").labels;
    std::sort(labels.begin(), labels.end());
    CHECK(labels == std::vector<std::int32_t>{0, 0, 0, 1});
    CHECK(flowers.read("test").pixels == flowers.planes("test/plant/deep/z.png"));
}

TEST_CASE("links into circles are named and not followed", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    fs::create_directory_symlink("..", flowers / "train/rose/parent");
    fs::create_directory_symlink("../rose", flowers / "train/rose/self");
    fs::create_directory_symlink("..", flowers / "train/all");
    fs::create_directory_symlink(".", flowers / "test/self");
    fs::create_directory_symlink("rose", flowers / "train/violet"); // a class by a link is one
    const ImageFolderReport report = flowers.pack();
    CHECK(flowers.read("train").classes == 4);
    CHECK(flowers.read("train").count == 6);
    CHECK(report.warnings ==
          std::vector<std::string>{
              "classes without images in test/ (2): rose, violet",
              "left out, as it leads back to a folder around it (2): train/all, test/self",
              "left out, as links to folders in a class are not followed (4): train/rose/parent, "
              "train/rose/self, train/violet/parent, train/violet/self"});
}

TEST_CASE("gzipped images are packed, whatever they are called", "[image_folder]") {
    Flowers flowers;
    const Bytes file = jpeg_of(noise(8, 8, 3));
    write(flowers / "train/a/x.JPEG", gzipped(file));
    write(flowers / "train/b/x.jpg.gz", gzipped(file));
    write(flowers / "test/a/x.jpg", png_of(noise(8, 8, 3))); // a PNG
    flowers.pack();
    const Bytes expected = centre_square(decode_image(file, 3), 8, 8);
    CHECK(flowers.read("train").pixels == joined({expected, expected}));
    CHECK(flowers.read("test").count == 1);
}

TEST_CASE("images are turned upright by EXIF, or not, and named", "[image_folder]") {
    Flowers flowers;
    const Bytes plain = jpeg_of(noise(8, 8, 3));
    write(flowers / "train/a/1.jpg", plain);
    write(flowers / "train/b/1.jpg", plain);
    write(flowers / "test/b/6.jpg", with_segment(plain, exif_segment(6)));
    ImageFolderParameters parameters = small;
    for (const Orientation orientation : {Orientation::exif, Orientation::stored}) {
        parameters.orientation = orientation;
        const ImageFolderReport report = flowers.pack(parameters);
        CHECK(report.turned == 1);
        CHECK(report.turned_examples == std::vector<std::string>{"test/b/6.jpg"});
        DecodedImage expected = decode_image(plain, 3);
        expected.orientation = orientation == Orientation::exif ? 6 : 1;
        CHECK(flowers.read("test").pixels == centre_square(upright(expected), 8, 8));
    }
}

namespace {

/// Ten images of a rose, four of a tulip and one of a lily, in folders beside one another.
void add_unsplit(Flowers& flowers) {
    for (int i = 0; i < 10; ++i)
        flowers.add("rose/" + std::to_string(i) + ".png");
    for (const char* place : {"tulip/a.png", "tulip/b.png", "tulip/deep/c.png", "tulip/d.png"})
        flowers.add(place);
    flowers.add("lily/only.png");
}

std::int64_t count(const ImageData& images, std::int32_t label) {
    return std::count(images.labels.begin(), images.labels.end(), label);
}

} // namespace

TEST_CASE("a folder of classes without train/ is refused with the option that splits it",
          "[image_folder]") {
    Flowers flowers;
    add_unsplit(flowers);
    CHECK_THAT(flowers.failure(),
               Contains("flowers: holds no train/ with classes. If its 3 folders are the "
                        "classes (lily, rose, tulip), --split 0.8"));
    ImageFolderParameters parameters = small;
    parameters.split = 0.8;
    flowers.add("test/rose/1.png");
    CHECK_THROWS_WITH(flowers.pack(parameters), Contains("holds test/") && Contains("--split"));
    fs::remove_all(flowers / "test");
    for (const char* name : {"rose", "tulip"})
        fs::remove_all(flowers / name);
    CHECK_THAT(flowers.failure(parameters), Contains("flowers: holds 1 folder, one for each"));
    flowers.add("daisy/only.png");
    CHECK_THAT(flowers.failure(parameters), Contains("there is nothing to split"));
}

TEST_CASE("a class that is split may be called train", "[image_folder]") {
    Flowers flowers;
    for (const char* place : {"train/1.png", "train/2.png", "bus/1.png", "bus/2.png"})
        flowers.add(place);
    CHECK_THAT(flowers.failure(), Contains("2 folders are the classes (bus, train), --split 0.8"));
    ImageFolderParameters parameters = small;
    parameters.split = 0.5;
    flowers.pack(parameters);
    CHECK(read_class_names(reader_of(flowers.out() / "packed.h5")) ==
          std::vector<std::string>{"bus", "train"});
    flowers.add("train/old/1.png");
    CHECK_THROWS_WITH(flowers.pack(parameters), Contains("holds train/"));
    fs::remove_all(flowers / "train/old");
    flowers.add("val/1.png"); // two splits of images without classes
    CHECK_THROWS_WITH(flowers.pack(parameters), Contains("holds train/"));
}

TEST_CASE("a split takes its share of each class, and no image twice", "[image_folder]") {
    Flowers flowers;
    add_unsplit(flowers);
    write(flowers / "notes.txt", bytes_of("x"));
    ImageFolderParameters parameters = small;
    for (const auto& [share, roses, tulips] :
         {std::tuple{0.8, 8, 3}, {0.5, 5, 2}, {0.99, 9, 3}, {0.01, 1, 1}}) {
        parameters.split = share;
        CAPTURE(share);
        const ImageFolderReport report = flowers.pack(parameters);
        const ImageData train = flowers.read("train");
        const ImageData test = flowers.read("test");
        CHECK(count(train, 0) == 1); // the only lily
        CHECK(count(train, 1) == roses);
        CHECK(count(train, 2) == tulips);
        CHECK(count(test, 1) == 10 - roses);
        CHECK(report.train_images == train.count);
        CHECK(report.test_images == test.count);
        CHECK(report.test_folder.empty());
        std::set<Bytes> all;
        for (std::size_t i = 0; i < std::size_t(train.count); ++i)
            all.insert(image_of(train, i));
        for (std::size_t i = 0; i < std::size_t(test.count); ++i)
            all.insert(image_of(test, i));
        CHECK(all.size() == 15);
        CHECK(report.warnings ==
              std::vector<std::string>{
                  "classes of one image, which is a training image (1): lily",
                  "left out, as it lies in no folder of a class (1): notes.txt",
                  "nested deeper than CLASS/, packed as of that class (1): tulip/deep/c.png"});
    }
}

TEST_CASE("a split is the same for the same names, and another for another seed",
          "[image_folder]") {
    Flowers flowers;
    Flowers other;
    add_unsplit(flowers);
    add_unsplit(other);
    fs::remove(other / "tulip/a.png");
    ImageFolderParameters parameters = small;
    parameters.split = 0.5;
    const auto roses_of = [&](const Flowers& from) {
        from.pack(parameters);
        const ImageData test = from.read("test");
        std::vector<Bytes> roses;
        for (std::size_t i = 0; i < std::size_t(test.count); ++i)
            if (test.labels[i] == 1) roses.push_back(image_of(test, i));
        return roses;
    };
    const auto expected = roses_of(flowers);
    CHECK(expected.size() == 5);
    CHECK(roses_of(other) == expected); // whatever the other classes hold
    parameters.seed = 2;
    CHECK(roses_of(flowers) != expected);
}

TEST_CASE("what is no image is left out, and said", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    flowers.add("val/rose/1.png");
    flowers.add("stray.png");
    flowers.add("train/stray.png");
    fs::create_directories(flowers / "train/lily");
    fs::create_directories(flowers / "train/__MACOSX");
    for (const char* name : {"train/rose/.hidden.png", "train/rose/._x.png", "train/.cache/1.png",
                             "train/rose/notes.txt", "train/rose/1.webp", "train/readme.md"})
        write(flowers / name, bytes_of("x"));
    const ImageFolderReport report = flowers.pack();
    CHECK(report.corrupt == 0);
    CHECK(flowers.read("train").count == 5);
    CHECK(flowers.read("train").classes == 4);
    CHECK(report.warnings ==
          std::vector<std::string>{
              "classes without images in test/ (2): lily, rose",
              "classes without images in train/ (1): lily", "folders that are not packed (1): val/",
              "left out, as it lies in no folder of a class (5): train/.cache, train/__MACOSX, "
              "train/readme.md, "
              "train/stray.png, stray.png",
              "left out, as neither .png, .jpg nor .jpeg (2): train/rose/1.webp, "
              "train/rose/notes.txt",
              "left out, as the name begins with a full stop (2): train/rose/._x.png, "
              "train/rose/.hidden.png"});
}

TEST_CASE("corrupt images of all kinds are named, and left out up to a limit", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    const Bytes good = png_of(noise(8, 8, 3));
    write(flowers / "train/rose/empty.png", {});
    write(flowers / "train/rose/cut.png", std::span(good).first(100));
    write(flowers / "train/rose/text.jpg", bytes_of("no image"));
    write(flowers / "train/rose/giant.png", png_of(RawPng{.width = 30000, .height = 30000}));
    fs::create_directories(flowers / "train/rose/folder.png");
    fs::create_symlink("loop.png", flowers / "train/rose/loop.png");
    fs::create_symlink("nowhere", flowers / "train/rose/broken.png");
    REQUIRE(::mkfifo((flowers / "train/rose/pipe.png").c_str(), 0600) == 0);
    write(flowers / "test/tulip/zeros.jpeg", Bytes(5000, 0));

    ImageFolderParameters parameters = small;
    const std::string all = flowers.failure(parameters);
    CHECK_THAT(all, Contains("flowers: 9 of 17 images cannot be used, 0 may be left out"));
    CHECK_THAT(all, Contains("train/rose/empty.png is empty") &&
                        Contains("train/rose/cut.png is truncated") &&
                        Contains("train/rose/text.jpg is neither a PNG nor a JPEG") &&
                        Contains("train/rose/giant.png declares 30000 x 30000 pixels") &&
                        Contains("train/rose/folder.png is not a file") &&
                        Contains("train/rose/loop.png cannot be read: Too many levels") &&
                        Contains("train/rose/broken.png cannot be read: No such file") &&
                        Contains("train/rose/pipe.png is not a file") &&
                        Contains("test/tulip/zeros.jpeg is neither"));
    parameters.max_corrupt = 8;
    CHECK_THAT(flowers.failure(parameters), Contains("9 of 17") && Contains("8 may be left out"));
    parameters.max_corrupt = 9;
    const ImageFolderReport report = flowers.pack(parameters);
    CHECK(report.corrupt == 9);
    CHECK(report.examples.size() == 9);
    CHECK(flowers.read("train").count == 5);
    CHECK(flowers.read("test").count == 3);
}

TEST_CASE("of many corrupt images the first ten are named, without control characters",
          "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    for (int i = 0; i < 30; ++i)
        write(flowers / ("train/rose/" + std::to_string(i) + "\x1b[2J.png"), {});
    const std::string message = flowers.failure();
    CHECK_THAT(message, Contains("30 of 38") && Contains("?[2J.png is empty") &&
                            Contains("; and 20 more") && !Contains("\x1b"));
    CHECK(std::count(message.begin(), message.end(), ';') == 10);
    write(flowers / "train/tulip/z.png", bytes_of("GIF89a"));
    CHECK_THAT(flowers.failure(), Contains("tulip/z.png is neither") && Contains("and 20 more"));
}

TEST_CASE("a split of which all images are corrupt is refused", "[image_folder]") {
    Flowers flowers;
    flowers.add("train/a/1.png");
    flowers.add("train/b/1.png");
    write(flowers / "test/a/1.png", {});
    ImageFolderParameters parameters = small;
    parameters.max_corrupt = 5;
    CHECK_THAT(flowers.failure(parameters),
               Contains("flowers: there is no image for the split 'test'"));
}

TEST_CASE("packing tells how far it is, and stops when told so", "[image_folder]") {
    Flowers flowers;
    flowers.add_some();
    fs::create_directory(flowers.out());
    std::vector<std::int64_t> done;
    const auto pack = [&](bool goes_on) {
        return pack_image_folder(flowers.path(), flowers.out() / "packed.h5", small,
                                 [&](std::int64_t images, std::int64_t total) {
                                     CHECK(total == 8);
                                     done.push_back(images);
                                     return goes_on;
                                 });
    };
    CHECK(pack(false).stopped);
    CHECK(done == std::vector<std::int64_t>{5});
    CHECK(fs::is_empty(flowers.out()));
    done.clear();
    CHECK_FALSE(pack(true).stopped);
    CHECK(done == std::vector<std::int64_t>{5, 8});
}
