#pragma once

#include "hdap/network/weight_files.hpp"
#include "hdap/storage/hdf5.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace hdap::accuracy {

inline constexpr const char* images_schema = "hdap-images/1";

/// Images of one size with their labels, as bytes; normalised when they are used.
struct ImageData {
    std::int64_t count = 0;
    std::int64_t channels = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t classes = 0;
    std::vector<std::uint8_t> pixels; ///< [count][channels][height][width]
    std::vector<std::int32_t> labels; ///< [count], each in [0, classes)
    std::vector<double> mean;         ///< per channel, of pixel/255, as the network gets them
    std::vector<double> deviation;    ///< the same; positive
    /// In which the network gets the channels, which lie as red, green, blue where they are three.
    network::ChannelOrder order = network::ChannelOrder::rgb;
};

/// Throws DataError when sizes, labels or normalisation of `images` do not fit together, or when
/// there is no image at all. `name` stands for the images in messages.
void check_images(const ImageData& images, const std::string& name);

/// Normalises `images` as the network was trained to get them, not by their own mean and deviation,
/// and hands it their channels in its order. Costs nothing per image.
/// Throws DataError when the numbers of channels differ; `name` stands for the network.
void use_normalisation(ImageData& images, const network::Normalisation& normalisation,
                       const std::string& name);

/// How `images` are normalised now; after reading, by their own file.
network::Normalisation normalisation_of(const ImageData& images);

/// Images [first, first + count) of `images`. Throws DataError when there are not so many.
ImageData slice(const ImageData& images, std::int64_t first, std::int64_t count);

/// Reads one split ("train" or "test") of a packed file:
///
///     /                attributes schema = "hdap-images/1", classes
///     /class_names     strings [classes]; may be missing
///     /mean            float64 [channels], of pixel/255
///     /deviation       float64 [channels], of pixel/255
///     /SPLIT/images    uint8 [count][channels][height][width]
///     /SPLIT/labels    integers [count]
///
/// Throws DataError for a missing split, wrong types or shapes, labels out of range, or a mean or
/// deviation that cannot be used.
ImageData read_images(const storage::Hdf5Reader& file, const std::string& split);

/// Reads images [first, first + count) of a split, and nothing of the others' pixels: of a file on
/// the disk no more than these come into memory. Throws DataError when there are not so many.
ImageData read_images(const storage::Hdf5Reader& file, const std::string& split, std::int64_t first,
                      std::int64_t count);

/// The images of a split, by the file's table of contents alone.
std::int64_t count_images(const storage::Hdf5Reader& file, const std::string& split);

/// The names of the classes of a packed file, or nothing when it has none.
/// Throws DataError when there are not as many as classes.
std::vector<std::string> read_class_names(const storage::Hdf5Reader& file);

/// What a packed file holds, without its pixels.
struct SplitSummary {
    std::string name; ///< "train" or "test"
    std::int64_t count = 0;
    std::vector<std::int64_t> per_class; ///< images of each class
};
struct ImageSummary {
    std::int64_t channels = 0;
    std::int64_t height = 0;
    std::int64_t width = 0;
    std::int64_t classes = 0;
    std::vector<std::string> class_names; ///< [classes], or empty
    std::vector<double> mean;             ///< per channel, of pixel/255
    std::vector<double> deviation;        ///< per channel, of pixel/255
    std::vector<SplitSummary> splits;     ///< train, test
};

/// Reads all of a packed file but its pixels, and counts. Throws DataError as read_images does, and
/// when the splits' images differ in size.
ImageSummary summarise_images(const storage::Hdf5Reader& file);

/// Packs Fashion-MNIST (Xiao et al., arXiv 1708.07747; IDX files, gzipped or not, as Debian's
/// dataset-fashion-mnist has them in /usr/share/datasets/fashion-mnist) into one HDF5 file that
/// read_images understands; mean and deviation are the train split's.
/// Throws DataError for a missing file, a wrong magic number, a truncated file or labels that are
/// not in [0, 10).
void pack_fashion_mnist(const std::filesystem::path& folder, const std::filesystem::path& output);

} // namespace hdap::accuracy
