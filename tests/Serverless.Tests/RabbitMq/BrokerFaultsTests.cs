using System.Net.Sockets;
using RabbitMQ.Client;
using RabbitMQ.Client.Events;
using RabbitMQ.Client.Exceptions;
using Serverless.Hosting.RabbitMq.Connection;
using Shouldly;

namespace Serverless.Tests.RabbitMq;

public sealed class BrokerFaultsTests
{
    /// <summary>Every reply code that AMQP 0-9-1 has, whatever a broker means by it.</summary>
    public static TheoryData<ushort> Codes => [200, 311, 312, 313, 320, 402, 403, 404, 405, 406, 501, 502, 503, 504, 505, 506, 530, 540, 541, 0, 999];

    [Theory]
    [MemberData(nameof(Codes))]
    public void Whatever_the_broker_replies_is_an_outage(ushort code)
    {
        var reason = new ShutdownEventArgs(ShutdownInitiator.Peer, code, "no");

        BrokerFaults.IsOutage(new OperationInterruptedException(reason)).ShouldBeTrue();
        BrokerFaults.IsOutage(new AlreadyClosedException(reason)).ShouldBeTrue();
    }

    [Fact]
    public void Whatever_the_client_throws_of_its_own_is_an_outage_and_our_mistakes_are_none()
    {
        var own = typeof(RabbitMQClientException).Assembly.GetExportedTypes().Where(type => type.IsAssignableTo(typeof(Exception)) && !type.IsAbstract).ToArray();
        own.Length.ShouldBeGreaterThan(10);
        foreach (var type in own) BrokerFaults.IsOutage((Exception)System.Runtime.CompilerServices.RuntimeHelpers.GetUninitializedObject(type)).ShouldBeTrue(type.Name);
        Exception[] outages = [new IOException(), new SocketException(), new TimeoutException(), new OperationCanceledException(), new ObjectDisposedException("channel"), new InvalidOperationException(), new EndOfStreamException()];
        foreach (var exception in outages) BrokerFaults.IsOutage(exception).ShouldBeTrue(exception.GetType().Name);
        Exception[] mistakes = [new ArgumentNullException(), new InvalidCastException(), new KeyNotFoundException(), new NotImplementedException()];
        foreach (var exception in mistakes) BrokerFaults.IsOutage(exception).ShouldBeFalse(exception.GetType().Name);
    }

    [Theory]
    [InlineData(501, true)] // a frame too large: what F1 was
    [InlineData(505, true)]
    [InlineData(320, false)] // an operator closed it
    [InlineData(541, false)]
    public void A_connection_closed_for_a_mistake_of_ours_is_told_apart(ushort code, bool ours) =>
        BrokerFaults.IsOurs(new ShutdownEventArgs(ShutdownInitiator.Peer, code, "no")).ShouldBe(ours);
}
