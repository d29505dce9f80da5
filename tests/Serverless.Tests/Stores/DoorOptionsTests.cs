using Microsoft.Extensions.DependencyInjection;
using Serverless.Hosting.Sessions;
using Serverless.Scaler.Distributed;
using Serverless.Scaler.Listening;
using Shouldly;

namespace Serverless.Tests.Stores;

/// <summary>Doors for other processes are open to this machine alone, unless they ask who comes or are told to stand open.</summary>
public sealed class DoorOptionsTests
{
    private static readonly ScalerTlsOptions Tls = new() { CertificateFile = "tls.crt", KeyFile = "tls.key", ClientCaFile = "ca.crt" };

    [Theory]
    [InlineData("gateway-0", false, false)]
    [InlineData("10.0.0.7", false, false)]
    [InlineData("gateway-0", true, true)]
    [InlineData("127.0.0.1", false, true)]
    [InlineData("localhost", false, true)]
    [InlineData(null, false, true)]
    public void Sessions_are_for_this_machine_unless_allowed(string? host, bool allowed, bool isValid)
    {
        var options = new WorkerSessionOptions { Host = host, AllowInsecure = allowed };

        var result = new WorkerSessionOptions.TlsValidator().Validate(null, options);

        result.Failed.ShouldBe(!isValid);
        if (!isValid) result.FailureMessage!.ShouldContain("Sessions:AllowInsecure");
        if (host is null) SessionServices.SessionAddress(options).ShouldBe("http://127.0.0.1:8090");
    }

    [Theory]
    [InlineData("http://0.0.0.0:9090", false, false, false)]
    [InlineData("http://0.0.0.0:9090", true, false, true)]
    [InlineData("http://0.0.0.0:9090", false, true, true)]
    [InlineData("http://127.0.0.1:9090", false, false, true)]
    [InlineData(null, false, false, true)]
    public void The_scaler_is_for_this_machine_unless_allowed(string? keda, bool allowed, bool clientCertificates, bool isValid)
    {
        var options = new ScalerOptions { Keda = keda is null ? null : new Uri(keda), AllowInsecure = allowed, Tls = clientCertificates ? Tls : null };

        var result = new ScalerOptions.Validator().Validate(null, options);

        result.Failed.ShouldBe(!isValid);
        if (!isValid) result.FailureMessage!.ShouldContain("Scaler:AllowInsecure");
    }

    [Fact]
    public void Without_an_address_the_scaler_listens_as_widely_as_it_may()
    {
        $"{new ScalerOptions().Address}".ShouldBe("127.0.0.1:9090");
        $"{new ScalerOptions { AllowInsecure = true }.Address}".ShouldBe("0.0.0.0:9090");
        $"{new ScalerOptions { Tls = Tls }.Address}".ShouldBe("0.0.0.0:9090");
        $"{new ScalerOptions { Tls = new ScalerTlsOptions { CertificateFile = "tls.crt", KeyFile = "tls.key" } }.Address}".ShouldBe("127.0.0.1:9090", "whoever comes is served");
    }
}
