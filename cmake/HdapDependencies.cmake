# Third-party libraries, as Debian 12 and 13 package them. jobs/install-dependencies.sh installs them.

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)
set(MPI_DETERMINE_LIBRARY_VERSION ON)
find_package(MPI REQUIRED COMPONENTS CXX)
find_package(OpenSSL REQUIRED COMPONENTS Crypto)
find_package(ZLIB REQUIRED)
find_package(tomlplusplus REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(Eigen3 REQUIRED NO_MODULE)
# Its own threads would make the bits of sums depend on their number.
set_property(TARGET Eigen3::Eigen APPEND PROPERTY INTERFACE_COMPILE_DEFINITIONS EIGEN_DONT_PARALLELIZE)
find_package(CLI11 REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(xgboost REQUIRED)

set(HDF5_PREFER_PARALLEL ON)
find_package(HDF5 REQUIRED COMPONENTS C)
add_library(hdap_hdf5 INTERFACE)
target_include_directories(hdap_hdf5 SYSTEM INTERFACE ${HDF5_C_INCLUDE_DIRS})
target_link_libraries(hdap_hdf5 INTERFACE ${HDF5_C_LIBRARIES} MPI::MPI_CXX)

find_path(STB_INCLUDE_DIR stb/stb_image.h REQUIRED)
add_library(hdap_stb INTERFACE)
target_include_directories(hdap_stb SYSTEM INTERFACE ${STB_INCLUDE_DIR})

# ONNX files. Debian's ONNXConfig.cmake names libraries that its packages do not install.
find_package(Protobuf REQUIRED)
find_path(ONNX_INCLUDE_DIR onnx/onnx_pb.h REQUIRED)
find_library(ONNX_LIBRARY onnx REQUIRED)
find_library(ONNX_PROTO_LIBRARY onnx_proto REQUIRED)
add_library(hdap_onnx INTERFACE)
target_include_directories(hdap_onnx SYSTEM INTERFACE ${ONNX_INCLUDE_DIR} ${Protobuf_INCLUDE_DIRS})
target_compile_definitions(hdap_onnx INTERFACE ONNX_NAMESPACE=onnx ONNX_ML=1)
target_link_libraries(hdap_onnx INTERFACE ${ONNX_LIBRARY} ${ONNX_PROTO_LIBRARY} ${Protobuf_LIBRARIES})

# Optional: the peer of the search's benchmarks.
if(HDAP_BUILD_BENCH)
  find_package(Pagmo QUIET)
  add_library(hdap_pagmo INTERFACE)
  if(Pagmo_FOUND)
    target_compile_definitions(hdap_pagmo INTERFACE HDAP_HAS_PAGMO)
    target_link_libraries(hdap_pagmo INTERFACE Pagmo::pagmo)
  endif()
endif()

find_package(Torch REQUIRED)
add_library(hdap_libtorch INTERFACE)
target_include_directories(hdap_libtorch SYSTEM INTERFACE ${TORCH_INCLUDE_DIRS})
target_link_libraries(hdap_libtorch INTERFACE ${TORCH_LIBRARIES})
