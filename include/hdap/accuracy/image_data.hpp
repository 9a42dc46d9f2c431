#pragma once

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
    std::vector<double> mean;         ///< per channel, of pixel/255
    std::vector<double> deviation;    ///< per channel, of pixel/255
};

/// Images [first, first + count) of `images`. Throws DataError when there are not so many.
ImageData slice(const ImageData& images, std::int64_t first, std::int64_t count);

/// Reads one split ("train" or "test") of a packed file: /<split>/images, /<split>/labels.
/// Throws DataError for a missing split, wrong shapes or labels out of range.
ImageData read_images(const storage::Hdf5Reader& file, const std::string& split);

/// Packs Fashion-MNIST (IDX files, gzipped or not, as Debian's dataset-fashion-mnist has them in
/// /usr/share/datasets/fashion-mnist) into one HDF5 file; mean and deviation are the train split's.
/// Throws DataError for a missing file, a wrong magic number or a truncated file.
void pack_fashion_mnist(const std::filesystem::path& folder, const std::filesystem::path& output);

} // namespace hdap::accuracy
