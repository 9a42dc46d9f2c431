#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace hdap::accuracy {

struct ImageFolderParameters {
    std::int64_t size = 32;       ///< pixels a side of the packed images, 1 to 1,024
    std::int64_t short_side = 32; ///< to which the shorter side is resized, size to 16,384
    std::int64_t channels = 3;    ///< 1 (grey) or 3 (RGB)
    std::int64_t max_corrupt = 0; ///< this many images may be left out
    std::uint64_t seed = 1;       ///< of the order of the training images
};

/// What a person should know about a folder that was packed.
struct ImageFolderReport {
    bool stopped = false;              ///< `on_progress` said so; nothing was written
    std::int64_t corrupt = 0;          ///< images that were left out
    std::vector<std::string> examples; ///< the first ten of them: path and reason
    std::vector<std::string> warnings; ///< classes without images, files that are no images
    std::string test_folder;           ///< the folder that became the split "test"
};

/// Is told how many of how many images are done; returns whether to go on.
using ImageFolderProgress = std::function<bool(std::int64_t done, std::int64_t total)>;

/// Packs a folder of images into one HDF5 file that read_images understands.
///
/// `folder` holds train/CLASS/*.png, *.jpg or *.jpeg (in small or capital letters) and the same in
/// test/, or else in val/ or validation/. The classes are the folders in train/, in the order of
/// the bytes of their names, which the file keeps. Names that begin with a full stop are left
/// alone, and so are folders inside of a class. Test images are in the order of class and name.
/// Training images are shuffled, as a study holds the last ones out.
///
/// Images are decoded by decode_image and cut by centre_square, in OpenMP threads; the file has the
/// same images in the same order on any number of them. Mean and deviation are the train split's.
/// Memory: all paths, and a batch of images; up to 1 GB a thread for images of 64 megapixels.
///
/// Throws DataError for a missing folder, fewer than two classes, a class of test that train lacks,
/// a split without images, or more corrupt images than parameters.max_corrupt: it then names the
/// first ten. Throws InternalError when the disk has no space.
ImageFolderReport pack_image_folder(const std::filesystem::path& folder,
                                    const std::filesystem::path& output,
                                    const ImageFolderParameters& parameters,
                                    const ImageFolderProgress& on_progress = {});

} // namespace hdap::accuracy
