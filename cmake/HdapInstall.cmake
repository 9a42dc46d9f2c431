# `cmake --install` gives the program, the libraries and headers, and find_package(hdap).
add_library(hdap_all INTERFACE)
add_library(hdap::hdap ALIAS hdap_all)
set_target_properties(hdap_all PROPERTIES EXPORT_NAME hdap)
list(TRANSFORM HDAP_MODULES PREPEND hdap_ OUTPUT_VARIABLE libraries)
target_link_libraries(hdap_all INTERFACE ${libraries})

install(TARGETS hdap RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS hdap_all ${libraries} EXPORT hdapTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS hdap_torch LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(DIRECTORY slurm DESTINATION ${CMAKE_INSTALL_DATADIR}/hdap USE_SOURCE_PERMISSIONS)
install(DIRECTORY include/hdap DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES ${HDAP_VERSION_HEADER} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/hdap/core)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/hdap)
install(EXPORT hdapTargets NAMESPACE hdap:: DESTINATION ${package_dir})
configure_package_config_file(cmake/hdapConfig.cmake.in hdapConfig.cmake INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(hdapConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/hdapConfig.cmake ${PROJECT_BINARY_DIR}/hdapConfigVersion.cmake
        DESTINATION ${package_dir})
